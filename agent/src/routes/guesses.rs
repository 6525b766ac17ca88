//! GUESSES: routes that paths of one process look like, and not too many of them.

use std::sync::Arc;

use foldhash::HashSet;

use super::heuristic;

/// The routes that were guessed for a process.
#[derive(Debug, Default)]
pub struct Guesses(HashSet<Arc<str>>);

/// What a path looks like.
#[derive(Debug, Default)]
pub struct Guess {
    /// Its route.
    pub route: Option<Arc<str>>,
    /// It has none because there are too many.
    pub is_over_limit: bool,
}

impl Guesses {
    /// The route that a path looks like. A path that the server does not have is none: that is what whoever tries paths at
    /// random asks for.
    pub fn find(&mut self, path: &str, status: Option<u16>, most: usize) -> Guess {
        let Some(route) = heuristic::route(path) else {
            return Guess::default();
        };
        if let Some(known) = self.0.get(route.as_str()) {
            return Guess {
                route: Some(Arc::clone(known)),
                is_over_limit: false,
            };
        }
        if status.is_none_or(|status| (400..500).contains(&status)) {
            return Guess::default();
        }
        if self.0.len() >= most {
            return Guess {
                route: None,
                is_over_limit: true,
            };
        }
        let route: Arc<str> = route.into();
        self.0.insert(Arc::clone(&route));
        Guess {
            route: Some(route),
            is_over_limit: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(guesses: &mut Guesses, path: &str, status: u16) -> (Option<String>, bool) {
        let guess = guesses.find(path, Some(status), 3);
        (guess.route.map(|route| route.to_string()), guess.is_over_limit)
    }

    #[test]
    fn what_the_server_does_not_have_is_no_route_until_it_has_it() {
        let mut guesses = Guesses::default();
        assert_eq!(find(&mut guesses, "/users/7", 404), (None, false));
        assert_eq!(
            find(&mut guesses, "/users/7", 200),
            (Some("/users/{id}".to_owned()), false)
        );
        assert_eq!(
            find(&mut guesses, "/users/8", 404),
            (Some("/users/{id}".to_owned()), false)
        );
    }

    #[test]
    fn there_is_a_limit() {
        let mut guesses = Guesses::default();
        for number in 0..100_000 {
            let word: String =
                format!("/{number}").replace(|c: char| c.is_ascii_digit(), "x") + &"y".repeat(number % 90);
            guesses.find(&word, Some(200), 3);
        }
        assert_eq!(guesses.0.len(), 3);
        assert_eq!(find(&mut guesses, "/new", 200), (None, true));
        assert!(!find(&mut guesses, "/x", 200).1);
    }
}
