//! A corpus as `ci/fuzz` writes it: an input a line, in hexadecimal digits, perhaps with a name behind.

/// Runs every input. Each is named first, so that a panic can be told to be its.
pub(crate) fn replay(corpus: &str, run: fn(&[u8])) {
    let inputs = parse(corpus).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(!inputs.is_empty(), "the corpus is empty");
    for (number, input) in (1..).zip(&inputs) {
        eprintln!("line {number}, {} bytes", input.len());
        run(input);
    }
}

/// The inputs, or which line is none.
pub(crate) fn parse(corpus: &str) -> Result<Vec<Vec<u8>>, String> {
    let inputs = (1..).zip(corpus.lines()).map(|(number, line)| {
        input(line).ok_or_else(|| {
            format!("line {number} is not pairs of hexadecimal digits, a blank and a name: {line:?}")
        })
    });
    let inputs: Vec<_> = inputs.collect::<Result<_, _>>()?;
    match inputs.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(inputs),
        Some(place) => Err(format!(
            "line {} does not come after the line before it: ci/fuzz --add sorts them",
            place + 2
        )),
    }
}

fn input(line: &str) -> Option<Vec<u8>> {
    let digits = line.split_once(' ').map_or(line, |(digits, _name)| digits);
    let pairs = digits.as_bytes().chunks(2);
    let input: Option<Vec<_>> =
        pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect();
    input.filter(|input| !input.is_empty())
}

fn digit(character: &u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
