//! What a program finds around itself: arguments, environment, clocks, memory, limits, its own file.

use std::time::{Duration, Instant, SystemTime};
use std::{env, hint, panic, thread};

#[test]
fn the_environment_is_read_and_changed() {
    assert!(env::var_os("PATH").is_some());
    #[expect(unsafe_code, reason = "changes the environment")]
    // SAFETY: no other test of this program touches this variable; the environment is locked by std.
    unsafe {
        env::set_var("PROBE_VARIABLE", "value")
    };
    assert_eq!(env::var("PROBE_VARIABLE").as_deref(), Ok("value"));
    assert!(env::vars_os().any(|(name, value)| name == "PROBE_VARIABLE" && value == "value"));
    #[expect(unsafe_code, reason = "changes the environment")]
    // SAFETY: as above.
    unsafe {
        env::remove_var("PROBE_VARIABLE")
    };
    assert!(env::var_os("PROBE_VARIABLE").is_none());
    assert!(!env::vars_os().any(|(name, _)| name == "PROBE_VARIABLE"));
}

#[test]
fn the_program_finds_itself() {
    let path = env::current_exe().unwrap();
    assert!(path.is_file());
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with("system-"), "{}", path.display());
    assert!(env::current_dir().unwrap().join("Cargo.toml").is_file());
}

#[test]
fn clocks_run_forward() {
    let (start, wall) = (Instant::now(), SystemTime::now());
    thread::sleep(Duration::from_millis(30));
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(30) && elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert!(wall.elapsed().unwrap() >= Duration::from_millis(25));
    assert!(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap() > Duration::from_secs(1_700_000_000));
}

#[test]
fn there_are_processors_and_pages() {
    assert!(thread::available_parallelism().unwrap().get() >= 1);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap();
    assert_eq!(page, Some(4096));
}

#[test]
fn memory_of_any_alignment() {
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let pages: Vec<_> = (0..8_u8).map(|byte| Box::new(Page([byte; 4096]))).collect();
    assert!(pages.iter().all(|page| (&raw const page.0).addr() % 4096 == 0));
    let mut grown = vec![1_u8; 10];
    grown.resize(10_000_000, 2);
    assert_eq!((grown[9], grown[9_999_999]), (1, 2));
}

#[test]
fn hash_maps_have_random_seeds() {
    use std::hash::{BuildHasher, RandomState};
    let hash = || RandomState::new().hash_one(1);
    assert_ne!((hash(), hash()), (hash(), hash()));
}

#[test]
fn panics_unwind_and_are_caught() {
    let caught = panic::catch_unwind(|| {
        let _dropped = Box::new(1);
        assert_eq!(hint::black_box(1), 2, "on purpose");
    });
    assert!(caught.unwrap_err().downcast_ref::<String>().unwrap().contains("on purpose"));
}

/// std finds no names on Solaris.
#[cfg(not(target_os = "solaris"))]
#[test]
fn a_backtrace_has_names() {
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    assert!(trace.contains("a_backtrace_has_names"), "{trace}");
}

#[test]
fn numbers_are_computed_as_everywhere() {
    let x = hint::black_box(2.0_f64);
    assert_eq!(
        (x.powf(0.5), x.ln().exp(), x.sin().to_bits()),
        (x.sqrt(), 2.0, 0.909_297_426_825_681_7_f64.to_bits())
    );
}
