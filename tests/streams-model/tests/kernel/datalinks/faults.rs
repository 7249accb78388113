//! Any call can be made to fail, and any primitive to be answered wrongly.

use streams_model::{Errno, Fault, Moment, Trouble, When, abi};

use super::{Datalink, PATH, bind, network, refusal, words};
use crate::caller::Caller;
use crate::{done, failed};

fn planned(operation: &'static str, subject: &'static str, trouble: Trouble) -> Caller {
    let mut caller = network();
    let pick = move |record: &streams_model::Record| record.is_about(operation, subject);
    caller.kernel.plan_fault(Fault { when: When::Nth(1, Box::new(pick)), trouble, moment: Moment::Before });
    caller
}

#[test]
fn each_call_of_an_attach_can_fail() {
    let errno = Trouble::Errno(Errno::EINTR);
    assert_eq!(planned("open", PATH, errno).open(PATH, abi::O_RDWR), failed(Errno::EINTR));
    let mut caller = planned("I_PUSH", "bufmod", errno);
    let fd = caller.open_link(PATH);
    assert_eq!(caller.push(fd, "bufmod"), failed(Errno::EINTR));
    assert_eq!(caller.list(fd).1, ["vnic"]);
    for request in ["SBIOCSFLAGS", "SBIOCSCHUNK", "SBIOCSTIME", "DLIOCRAW"] {
        let mut caller = planned("I_STR", request, errno);
        let fd = caller.open_link(PATH);
        caller.push(fd, "bufmod");
        let code = abi::STREAM_REQUESTS.iter().find(|(name, _)| *name == request).expect("a request").1;
        assert_eq!(caller.str_ioctl(fd, code as u32, 16, &[0; 16]).0, failed(Errno::EINTR), "{request}");
    }
    let mut caller = planned("putmsg", "DL_BIND_REQ", errno);
    let fd = caller.open_link(PATH);
    assert_eq!(caller.putmsg(fd, Some(&bind(0)), None), failed(Errno::EINTR));
}

#[test]
fn a_primitive_is_refused_lost_or_answered_with_anything() {
    let refuse = Trouble::Refuse { error: abi::DL_SYSERR, unix: 16 };
    let mut caller = planned("putmsg", "DL_BIND_REQ", refuse);
    let fd = caller.open_link(PATH);
    assert_eq!(caller.ask(fd, &bind(0)), refusal(abi::DL_BIND_REQ, abi::DL_SYSERR, 16));
    assert!(!caller.kernel.datalink_states()[1].claimed, "it was not carried out");
    let mut caller = planned("putmsg", "DL_INFO_REQ", Trouble::NoAnswer);
    let fd = caller.open_link(PATH);
    assert_eq!(caller.putmsg(fd, Some(&words(&[abi::DL_INFO_REQ])), None), done(0));
    caller.kernel.serve();
    assert_eq!(caller.take_control(fd), None);
    for reply in [&[][..], &[3, 0, 0, 0], &[6, 0, 0, 0, 1, 0, 0, 0]] {
        let mut caller = planned("putmsg", "DL_INFO_REQ", Trouble::Reply(reply));
        let fd = caller.open_link(PATH);
        assert_eq!(caller.ask(fd, &words(&[abi::DL_INFO_REQ])), reply);
    }
}

#[test]
fn the_trace_tells_primitives_by_name() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    caller.ask(fd, &bind(0));
    let lines: Vec<_> = caller.kernel.trace().iter().map(ToString::to_string).collect();
    let opened = format!("open(\"{PATH}\", O_RDWR|O_NONBLOCK|O_CLOEXEC) = 3");
    assert_eq!(lines, [opened.as_str(), "putmsg(3, DL_BIND_REQ, RS_HIPRI) = 0", "getmsg(3) = 0"]);
}

#[test]
fn frames_and_answers_fail_like_everything_else() {
    let mut caller = network();
    let fd = caller.attach(PATH, super::RECOMMENDED, 0);
    for (operation, errno) in [("read", Errno::EINTR), ("getmsg", Errno::EIO), ("write", Errno::EAGAIN)] {
        let pick = move |record: &streams_model::Record| record.is(operation);
        let trouble = Trouble::Errno(errno);
        caller.kernel.plan_fault(Fault {
            when: When::Nth(1, Box::new(pick)),
            trouble,
            moment: Moment::Before,
        });
    }
    assert_eq!(caller.read(fd, 2000).0, failed(Errno::EINTR));
    assert_eq!(caller.getmsg(fd, 256, 256).outcome, failed(Errno::EIO));
    assert_eq!(caller.write(fd, &[0; 60]), failed(Errno::EAGAIN));
}
