//! Threads, what they share and what they wait for.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn many_threads_count_together() {
    let sum = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..1000).for_each(|_| *sum.lock().unwrap() += 1));
        }
    });
    assert_eq!(sum.into_inner().unwrap(), 32_000);
}

#[test]
fn a_result_comes_back_and_so_does_a_panic() {
    assert_eq!(thread::spawn(|| 42).join().unwrap(), 42);
    let panic = thread::spawn(|| panic!("on purpose")).join().unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
}

#[test]
fn each_thread_has_its_own_and_drops_it() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Own(Cell<u32>);
    impl Drop for Own {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, SeqCst);
        }
    }
    thread_local! {
        static OWN: Own = Own(Cell::default());
    }
    let set = |value| {
        OWN.with(|own| own.0.set(own.0.get() + value));
        OWN.with(|own| own.0.get())
    };
    let values: Vec<_> = (1..9).map(|value| thread::spawn(move || set(value)).join().unwrap()).collect();
    assert_eq!(values, (1..9).collect::<Vec<_>>());
    assert_eq!(DROPPED.load(SeqCst), 8);
}

#[test]
fn a_thread_knows_its_name_and_itself() {
    let named = thread::Builder::new().name("a name of more than fifteen bytes".into()).stack_size(1 << 20);
    let (id, name) = named
        .spawn(|| (thread::current().id(), thread::current().name().map(String::from)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(name.as_deref(), Some("a name of more than fifteen bytes"));
    assert_ne!(id, thread::current().id());
}

#[test]
fn a_condition_wakes_one_and_all() {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut value = shared.1.wait_while(shared.0.lock().unwrap(), |value| *value == 0).unwrap();
                *value += 1;
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(10));
    *shared.0.lock().unwrap() = 1;
    shared.1.notify_one();
    shared.1.notify_all();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(*shared.0.lock().unwrap(), 9);
}

#[test]
fn a_condition_waits_as_long_as_it_is_told() {
    let (mutex, condition) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let mut guard = mutex.lock().unwrap();
    loop {
        let (again, result) = condition.wait_timeout(guard, Duration::from_millis(50)).unwrap();
        if result.timed_out() {
            break;
        }
        guard = again;
    }
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(5), "{waited:?}");
}

#[test]
fn channels_park_and_time_out() {
    let (sender, receiver) = mpsc::channel();
    assert_eq!(receiver.recv_timeout(Duration::from_millis(10)), Err(mpsc::RecvTimeoutError::Timeout));
    let worker = thread::spawn(move || (0..100).for_each(|number| sender.send(number).unwrap()));
    assert_eq!(receiver.iter().sum::<i32>(), 4950);
    worker.join().unwrap();
}

#[test]
fn readers_share_and_a_barrier_gathers() {
    let lock = RwLock::new(1);
    let barrier = Barrier::new(4);
    let leaders = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let seen = lock.read().unwrap();
                    let leads = barrier.wait().is_leader();
                    drop(seen);
                    *lock.write().unwrap() += 1;
                    leads
                })
            })
            .collect();
        threads
            .into_iter()
            .filter(|_| true)
            .map(|thread| thread.join().unwrap())
            .filter(|leads| *leads)
            .count()
    });
    assert_eq!((leaders, *lock.read().unwrap()), (1, 5));
}

#[test]
fn what_is_made_once_is_made_once() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let cell = OnceLock::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| cell.get_or_init(|| MADE.fetch_add(1, SeqCst)));
        }
    });
    assert_eq!(MADE.load(SeqCst), 1);
}

/// Mutexes of C programs are initialised in place and used without another word.
#[test]
#[expect(unsafe_code, reason = "std's own mutexes are always initialised by a call")]
fn a_static_mutex_of_c_works() {
    struct Shared(std::cell::UnsafeCell<libc::pthread_mutex_t>);
    // SAFETY: a mutex is made to be shared.
    unsafe impl Sync for Shared {}
    static MUTEX: Shared = Shared(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    // SAFETY: statically initialised.
    assert_eq!(unsafe { libc::pthread_mutex_lock(MUTEX.0.get()) }, 0);
    let busy = thread::spawn(|| {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(MUTEX.0.get()) }
    });
    assert_eq!(busy.join().unwrap(), libc::EBUSY);
    // SAFETY: held by this thread.
    assert_eq!(unsafe { libc::pthread_mutex_unlock(MUTEX.0.get()) }, 0);
}
