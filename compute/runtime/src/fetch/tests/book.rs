//! The book alone, with a clock made of numbers.

use super::super::book::{Blame, Book, Job};
use super::*;

const MS: u64 = 1_000_000;

fn book(maps: u32) -> Book {
    let spill = SpillConfig::new("/nowhere");
    let config = FetchConfig {
        tries: 3,
        backoff: Duration::from_millis(10),
        backoff_max: Duration::from_millis(25),
        ..FetchConfig::new(maps, 0, 0, spill)
    };
    Book::new(&config)
}

fn output(map: u32, place: &str) -> MapOutput {
    let location = Location::Dir(place.into());
    MapOutput { map, owner: "o".to_owned(), output: format!("out-{map}-{place}"), location }
}

fn next(book: &mut Book, now: u64) -> Option<u32> {
    book.next(now, None).map(|job| job.output.map)
}

fn take(book: &mut Book, now: u64) -> Job {
    book.next(now, None).expect("a job")
}

#[test]
fn work_is_spread_over_places_and_stays_near() {
    let mut book = book(6);
    for map in 0..6 {
        book.ready(output(map, if map < 4 { "a" } else { "b" }));
    }
    let a = take(&mut book, 0);
    let b = take(&mut book, 0);
    assert_eq!((a.output.map, b.output.map), (0, 4));
    assert!(book.succeeded(&a));
    assert!(book.succeeded(&b));
    assert_eq!(book.next(0, Some(&b.output.location)).map(|job| job.output.map), Some(5));
    assert_eq!(book.next(0, Some(&b.output.location)).map(|job| job.output.map), Some(1));
    assert_eq!((next(&mut book, 0), next(&mut book, 0), next(&mut book, 0)), (Some(2), Some(3), None));
    assert_eq!((book.fetched(), book.is_done(), book.due()), (2, false, None));
}

#[test]
fn pauses_double_up_to_a_limit_and_reports_begin_with_the_third_failure() {
    let mut book = book(1);
    book.ready(output(0, "a"));
    let mut now = 0;
    for (tries, pause) in [(1, 10), (2, 20), (3, 25), (4, 25)] {
        let job = take(&mut book, now);
        book.failed(&job, now, Blame::Output, format!("failure {tries}"));
        assert_eq!(book.due(), Some(now + pause * MS));
        assert_eq!(next(&mut book, now + pause * MS - 1), None);
        now += pause * MS;
        let report = book.take_failure();
        assert_eq!(report.as_ref().map(|report| report.tries), (tries >= 3).then_some(tries));
        assert!(report.is_none_or(|report| report.reason == format!("failure {tries}")));
    }
    let job = take(&mut book, now);
    assert!(book.succeeded(&job));
    assert!(book.is_done());
    assert_eq!(book.failures(), 4);
}

#[test]
fn a_server_that_is_not_there_is_left_alone_and_all_on_it_are_reported() {
    let mut book = book(5);
    for map in 0..5 {
        book.ready(output(map, if map < 4 { "dead" } else { "live" }));
    }
    let dead = Location::Dir("dead".into());
    let mut now = 0;
    for pause in [10, 20, 25] {
        let job = book.next(now, Some(&dead)).expect("a job at the dead server");
        assert_eq!(job.output.location, dead);
        book.failed(&job, now, Blame::Server, "refused".to_owned());
        assert_eq!(book.next(now, Some(&dead)).map(|job| job.output.map), if pause == 10 { Some(4) } else { None });
        now += pause * MS;
    }
    assert_eq!(book.take_failure().map(|report| (report.map, report.tries)), Some((2, 1)));
    let job = take(&mut book, now);
    book.failed(&job, now, Blame::Server, "refused".to_owned());
    assert!(book.take_failure().is_some(), "its first failure is the server's fourth");
    now += 25 * MS;
    let job = take(&mut book, now);
    assert!(book.succeeded(&job));
    assert!(next(&mut book, now).is_some(), "a success clears the server");
}

#[test]
fn what_is_under_way_for_a_lost_output_counts_only_if_it_arrives() {
    let mut book = book(2);
    book.ready(output(0, "a"));
    let job = take(&mut book, 0);
    book.lost(0, "out-0-a");
    book.failed(&job, 0, Blame::Output, "gone".to_owned());
    assert_eq!((next(&mut book, 1 << 60), book.take_failure().is_none()), (None, true));
    book.ready(output(0, "b"));
    book.lost(0, "out-0-a");
    let again = take(&mut book, 1 << 60);
    assert_eq!(again.output, output(0, "b"));
    assert!(book.succeeded(&job), "whole bytes of a committed attempt");
    assert!(!book.succeeded(&again), "and then the other ones are not needed");
    assert_eq!(book.fetched(), 1);
}

#[test]
fn news_replace_what_was_known_and_duplicates_do_not() {
    let mut book = book(1);
    book.ready(output(0, "a"));
    book.ready(output(0, "a"));
    assert_eq!((next(&mut book, 0), next(&mut book, 0)), (Some(0), None));
    book.ready(output(0, "a"));
    assert_eq!(next(&mut book, 0), None);
    book.ready(output(0, "b"));
    let job = take(&mut book, 0);
    assert_eq!(job.output, output(0, "b"));
    for _ in 0..3 {
        book.failed(&job, 0, Blame::Output, "x".to_owned());
    }
    book.lost(0, "out-0-b");
    assert!(book.take_failure().is_none(), "nobody is told of what is known to be lost");
    book.ready(output(9, "a"));
    assert_eq!(next(&mut book, 1 << 60), None);
}
