//! Shares, eviction, waiting.

use super::*;
use proptest::prelude::*;

#[test]
fn a_lone_task_may_have_everything_and_gives_it_back() {
    let accountant = Accountant::new(1000);
    let task = accountant.begin_task();
    let (mut a, mut b) = (task.reservation(), task.reservation());
    assert!(a.try_grow(600));
    assert!(b.try_grow(400));
    assert!(!b.try_grow(1));
    assert_eq!((task.held(), accountant.free()), (1000, 0));
    a.shrink(100);
    assert!(b.try_grow(100));
    drop(b);
    assert_eq!((a.bytes(), task.held()), (500, 500));
    drop(a);
    assert_eq!(accountant.free(), 1000);
}

#[test]
fn two_tasks_get_at_most_half_each_and_the_first_is_told_to_give_back() {
    let accountant = Accountant::new(1000);
    let first = accountant.begin_task();
    let mut a = first.reservation();
    assert!(a.try_grow(800));
    let second = accountant.begin_task();
    let mut b = second.reservation();
    assert!(!a.try_grow(1), "it holds more than its half");
    assert_eq!(a.over_share(), 300);
    assert!(b.try_grow(200));
    assert!(!b.try_grow(100));
    a.shrink(a.over_share());
    assert!(b.try_grow(300));
    assert!(!b.try_grow(1));
    drop((b, second));
    assert!(a.try_grow(500), "alone again");
}

#[test]
fn who_has_less_than_its_due_waits_for_the_others() {
    let accountant = Accountant::new(1000);
    let (first, second) = (accountant.begin_task(), accountant.begin_task());
    let mut a = first.reservation();
    assert!(a.try_grow(500));
    let third = accountant.begin_task();
    let mut c = third.reservation();
    let mut b = second.reservation();
    assert!(b.try_grow(333));
    c.force(100);
    assert!(!c.grow(100, Duration::ZERO));
    assert!(!c.grow(200, Duration::from_secs(60)), "more than 1/2N is not waited for");
    let waiting = std::thread::spawn(move || c.grow(66, Duration::from_secs(60)));
    a.shrink(167);
    assert!(waiting.join().unwrap());
}

#[test]
fn waiting_ends() {
    let accountant = Accountant::new(100);
    let (first, second) = (accountant.begin_task(), accountant.begin_task());
    let mut a = first.reservation();
    a.force(100);
    assert!(!second.reservation().grow(10, Duration::from_millis(20)));
}

struct Blocks {
    accountant: Accountant,
    blocks: Mutex<Vec<u64>>,
}

impl Evict for Blocks {
    fn evict(&self, bytes: u64) {
        let mut gone = 0;
        let mut blocks = self.blocks.lock().unwrap();
        while gone < bytes {
            let Some(block) = blocks.pop() else { break };
            self.accountant.release_stored(block);
            gone += block;
        }
    }
}

#[test]
fn cached_blocks_are_evicted_down_to_their_half() {
    let accountant = Accountant::new(1000);
    let blocks = Arc::new(Blocks { accountant: accountant.clone(), blocks: Mutex::new(vec![100; 9]) });
    let weak: Weak<dyn Evict> = Arc::downgrade(&(Arc::clone(&blocks) as Arc<dyn Evict>));
    accountant.set_evictor(weak);
    for _ in 0..9 {
        assert!(accountant.try_store(100));
    }
    assert!(!accountant.try_store(101));
    let task = accountant.begin_task();
    let mut a = task.reservation();
    assert!(a.try_grow(100));
    assert_eq!(accountant.stored(), 900);
    assert!(a.try_grow(150));
    assert_eq!(accountant.stored(), 700);
    assert!(a.try_grow(250));
    assert_eq!(accountant.stored(), 500);
    assert!(!a.try_grow(1), "the other half is protected");
    assert!(!accountant.try_store(1));
    accountant.release_stored(100);
    assert!(a.try_grow(100));
}

proptest! {
    #[test]
    fn the_books_balance(steps in prop::collection::vec((0_usize..4, 0_u64..400, 0_u8..5), 0..60)) {
        let accountant = Accountant::new(1000);
        let mut tasks: Vec<(TaskMemory, Reservation)> = Vec::new();
        for (who, bytes, what) in steps {
            if tasks.len() <= who {
                let task = accountant.begin_task();
                let reservation = task.reservation();
                tasks.push((task, reservation));
                continue;
            }
            let count = tasks.len() as u64;
            let (task, reservation) = &mut tasks[who];
            let before = task.held();
            match what {
                0 | 1 => {
                    let granted = reservation.try_grow(bytes);
                    prop_assert_eq!(task.held(), before + if granted { bytes } else { 0 });
                    prop_assert!(!granted || task.held() <= 1000 / count);
                }
                2 => reservation.shrink(bytes),
                3 => {
                    let part = reservation.split(bytes);
                    prop_assert_eq!(task.held(), before);
                    drop(part);
                }
                _ => drop(tasks.swap_remove(who)),
            }
            let held: u64 = tasks.iter().map(|(task, reservation)| {
                assert_eq!(task.held(), reservation.bytes());
                reservation.bytes()
            }).sum();
            prop_assert_eq!(accountant.free(), 1000 - held);
        }
    }
}
