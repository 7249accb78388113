//! The C program: one comparison a fact.

use crate::list::{Fact, Kind};

/// Where the facts stand.
const HEAD: &str = r#"/* Printed from platform/illumos/abi.rs; to be compiled for 64 bits. */
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/bufmod.h>
#include <sys/conf.h>
#include <sys/dlpi.h>
#include <sys/errno.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/stropts.h>
#include <net/if.h>
#include <netinet/in.h>
#ifdef __has_include
#if __has_include(<net/if_tun.h>)
#include <net/if_tun.h>
#endif
#endif

static int right, wrong, left;

static void is(const char *what, unsigned long long header, unsigned long long crate)
{
	if (header == crate) {
		right++;
	} else {
		wrong++;
		printf("MISMATCH %s: the headers say 0x%llx, the crate 0x%llx\n", what, header, crate);
	}
}

static void missing(const char *what)
{
	wrong++;
	printf("MISSING %s: no header defines it\n", what);
}

static void leave(const char *what)
{
	left++;
	printf("not compared %s: the driver's net/if_tun.h is not here, or is older\n", what);
}

int main(void)
{
"#;

const FOOT: &str = r#"	printf("%d numbers, sizes and offsets agree, %d do not, %d were not compared\n", right, wrong, left);
	return (wrong != 0);
}
"#;

/// The program's text. It ends with 0 when every fact holds, and prints each that does not.
pub(crate) fn text(facts: &[Fact]) -> String {
    let comparisons: String = facts.iter().map(comparison).collect();
    [HEAD, &comparisons, FOOT].concat()
}

fn comparison(Fact { kind, c, value }: &Fact) -> String {
    let (width, else_) = match kind {
        Kind::Layout => return format!("\tis(\"{c}\", {}, {value});\n", c.replace("alignof", "__alignof__")),
        Kind::Request => ("unsigned int", "missing"),
        Kind::Driver => ("unsigned int", "leave"),
        Kind::Number => ("unsigned long long", "missing"),
    };
    let compare = format!("is(\"{c}\", ({width})({c}), {value:#x}ULL)");
    format!("#ifdef {c}\n\t{compare};\n#else\n\t{else_}(\"{c}\");\n#endif\n")
}
