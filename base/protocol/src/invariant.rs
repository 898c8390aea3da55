//! Invariants of a state, by name. Tests and simulators check them after every step; nothing else does, as they look at
//! everything.

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {invariant} does not hold: {what}")]
pub struct Violation {
    /// Its name: that of the function that checks it.
    pub invariant: &'static str,
    /// Where.
    pub what: String,
}

/// What must hold, and its name; the error says where it does not.
pub type Invariant<S> = (&'static str, fn(&S) -> Result<(), String>);

/// Checks every invariant of a state.
///
/// # Errors
/// The first that does not hold.
pub fn check_all<S>(state: &S, invariants: &[Invariant<S>]) -> Result<(), Violation> {
    for (invariant, holds) in invariants {
        holds(state).map_err(|what| Violation { invariant, what })?;
    }
    Ok(())
}

/// What an invariant says of one thing.
///
/// # Errors
/// `what`, if it does not hold.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_does_not_hold_is_named() {
        let small = |number: &u32| ensure(*number < 10, || format!("{number} is large"));
        let even = |number: &u32| ensure(number.is_multiple_of(2), || format!("{number} is odd"));
        let all: [Invariant<u32>; 2] = [("small", small), ("even", even)];
        assert_eq!(check_all(&4, &all), Ok(()));
        let violation = check_all(&7, &all).unwrap_err();
        assert_eq!(violation.to_string(), "invariant even does not hold: 7 is odd");
        assert_eq!(check_all(&11, &all).unwrap_err().invariant, "small");
    }
}
