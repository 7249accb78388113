//! The fault plan: what strikes, when, and what is left. Any call can be made to fail, and any primitive of a data link to
//! be answered wrongly.

use streams_model::abi::{I_LINK, I_POP, IFF_IPV4};
use streams_model::{Arena, Call, Errno, Fault, Moment, Trouble, When, abi};

use crate::caller::{Caller, lifreq};
use crate::datalinks::{Datalink, PATH, bind, network, refusal, words};
use crate::{done, failed};

fn plan(caller: &mut Caller, when: When, trouble: Trouble, moment: Moment) {
    caller.kernel.plan_fault(Fault { when, trouble, moment });
}

fn nth(number: usize, operation: &'static str) -> When {
    When::Nth(number, Box::new(move |record| record.is(operation)))
}

#[test]
fn a_call_is_hit_by_its_number() {
    let mut caller = Caller::default();
    plan(&mut caller, When::Call(2), Trouble::Errno(Errno::EMFILE), Moment::Before);
    let outcomes: Vec<_> = (0..3).map(|_| caller.open("/dev/tap", abi::O_RDWR)).collect();
    assert_eq!(outcomes, [done(3), failed(Errno::EMFILE), done(4)]);
    let trace = caller.kernel.trace();
    assert_eq!(trace[1].to_string(), "open(\"/dev/tap\", O_RDWR) = -1 EMFILE");
    assert_eq!(trace.iter().map(|record| record.injected).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(caller.kernel.faults_struck(), 1);
}

#[test]
fn a_call_is_hit_by_its_place_among_its_like() {
    let mut caller = Caller::default();
    plan(&mut caller, nth(2, "open"), Trouble::Errno(Errno::ENXIO), Moment::Before);
    let fd = caller.must_open("/dev/tap");
    assert_eq!(caller.push(fd, "ip"), done(0));
    assert_eq!(caller.open("/dev/tap", abi::O_RDWR), failed(Errno::ENXIO));
    assert_eq!(caller.open("/dev/tap", abi::O_RDWR), done(4), "once");
}

#[test]
fn before_leaves_nothing_and_after_leaves_the_effect_unseen() {
    for (moment, ppas) in [(Moment::Before, vec![]), (Moment::After, vec![0])] {
        let mut caller = Caller::default();
        let fd = caller.must_open("/dev/tap");
        let pick = When::Nth(1, Box::new(|record| record.is_about("I_STR", "TUNNEWPPA")));
        plan(&mut caller, pick, Trouble::Errno(Errno::ETIME), moment);
        let answer = caller.str_ioctl(fd, abi::TUNNEWPPA, 4, &[0; 4]);
        assert_eq!((answer.0, answer.1), (failed(Errno::ETIME), 4), "a failure writes nothing back");
        assert_eq!(caller.kernel.snapshot().ppas, ppas);
    }
}

#[test]
fn wrong_answers() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    plan(&mut caller, nth(1, "I_STR"), Trouble::Answer(7), Moment::After);
    assert_eq!(caller.new_ppa(fd, 0), done(7));
    assert_eq!(caller.kernel.snapshot().ppas, [0]);
    let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.arp_stream("tap0", 0);
    let mux = caller.must_open("/dev/udp");
    plan(&mut caller, nth(3, "I_LINK"), Trouble::Answer(0), Moment::Before);
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(ip)), done(1));
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(arp)), done(2));
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(fd)), done(0));
    plan(&mut caller, nth(1, "SIOCGLIFMUXID"), Trouble::SwapMuxIds, Moment::After);
    let ask = |caller: &mut Caller| caller.lif(mux, abi::SIOCGLIFMUXID, &lifreq("tap0", 0, 0)).1.muxids();
    assert_eq!(ask(&mut caller), (2, 1));
    assert_eq!(ask(&mut caller), (1, 2));
    plan(&mut caller, nth(1, "SIOCGLIFMTU"), Trouble::StoreNumber(9), Moment::After);
    assert_eq!(caller.lif(mux, abi::SIOCGLIFMTU, &lifreq("tap0", 0, 0)).1.number(), 9);
}

#[test]
fn a_pop_that_never_runs_out() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/udp");
    let every = When::Every(Box::new(|record| record.is("I_POP")));
    plan(&mut caller, every, Trouble::Answer(0), Moment::Before);
    for _ in 0..1000 {
        assert_eq!(caller.ioctl(fd, I_POP, 0), done(0));
    }
    caller.kernel.clear_faults();
    assert_eq!(caller.ioctl(fd, I_POP, 0), failed(Errno::EINVAL));
}

#[test]
fn a_failing_close_is_a_close() {
    for moment in [Moment::Before, Moment::After] {
        let mut caller = Caller::default();
        let fd = caller.control(0);
        plan(&mut caller, nth(1, "close"), Trouble::Errno(Errno::EINTR), moment);
        assert_eq!(caller.close(fd), failed(Errno::EINTR));
        assert_eq!(caller.kernel.snapshot(), Default::default());
        assert_eq!(caller.close(fd), failed(Errno::EBADF));
    }
}

#[test]
fn a_blocking_read_is_hit_before_it_sleeps() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    plan(&mut caller, nth(1, "read"), Trouble::Errno(Errno::EINTR), Moment::Before);
    assert_eq!(caller.read(fd, 100).0, failed(Errno::EINTR));
    plan(&mut caller, nth(1, "read"), Trouble::Answer(0), Moment::Before);
    assert_eq!(caller.read(fd, 100).0, done(0));
}

#[test]
fn poll_is_given_events() {
    let mut caller = Caller::default();
    let fd = caller.control(0);
    plan(&mut caller, nth(1, "poll"), Trouble::Events(abi::POLLHUP), Moment::Before);
    let mut arena = Arena::new();
    let fds = arena.put(&[&fd.to_le_bytes()[..], &abi::POLLIN.to_le_bytes(), &[0; 2]].concat());
    for (outcome, revents) in [(done(1), abi::POLLHUP), (done(0), 0)] {
        assert_eq!(caller.kernel.call(&mut arena, Call::Poll { fds, count: 1 }), outcome);
        assert_eq!(arena.get(fds + 6, 2), revents.to_le_bytes());
    }
}

#[test]
fn every_call_of_a_plumbing_can_be_hit() {
    let mut caller = Caller::default();
    caller.plumb("tap0", 0, I_LINK);
    let calls = caller.kernel.calls();
    assert!(calls > 15);
    for number in 1..=calls {
        let mut caller = Caller::default();
        plan(&mut caller, When::Call(number), Trouble::Errno(Errno::EIO), Moment::Before);
        let broken_off =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| caller.plumb("tap0", 0, I_LINK)));
        assert!(broken_off.is_err(), "call {number} was not hit");
        caller.kernel.exit();
        assert_eq!(caller.kernel.snapshot(), Default::default(), "after call {number}");
    }
}

#[test]
fn somebody_else_gets_in_between() {
    let mut caller = Caller::default();
    caller.kernel.plumb_elsewhere("tap3");
    let fd = caller.control(3);
    caller.kernel.before(nth(1, "SIOCSLIFNAME"), |kernel| kernel.unplumb_elsewhere("tap3"));
    assert_eq!(caller.kernel.interface_states().len(), 1);
    caller.ip_stream("tap3", 3, IFF_IPV4);
    assert_eq!(caller.kernel.link_states(), []);
    caller.close(fd);
    let fd = caller.must_open("/dev/tap");
    caller.kernel.before(nth(1, "I_STR"), |kernel| assert!(kernel.take_ppa_elsewhere(5)));
    assert_eq!(caller.new_ppa(fd, 5), failed(Errno::EEXIST));
    assert!(!caller.kernel.take_ppa_elsewhere(5));
}

#[test]
fn a_dead_process_does_nothing() {
    let mut caller = Caller::default();
    caller.plumb("tap0", 0, I_LINK);
    let number = caller.kernel.calls() + 2;
    caller.kernel.before(When::Call(number), streams_model::Kernel::kill);
    assert_eq!(caller.open("/dev/tap", abi::O_RDWR), done(5));
    assert_eq!(caller.open("/dev/tap", abi::O_RDWR), failed(Errno::EBADF));
    assert_eq!(caller.kernel.snapshot(), Default::default());
    let calls = caller.kernel.calls();
    assert_eq!(caller.close(3), failed(Errno::EBADF));
    assert_eq!(caller.kernel.calls(), calls);
}

#[test]
fn the_call_that_panics_is_the_last_of_the_trace() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| caller.new_ppa(fd, 20)));
    assert!(panic.is_err());
    let last = caller.kernel.trace().last().map(ToString::to_string);
    assert_eq!(last.as_deref(), Some("I_STR(3, TUNNEWPPA, 20) = ? (never returns: the machine panicked)"));
}

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
    let fd = caller.attach(PATH, crate::datalinks::RECOMMENDED, 0);
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
