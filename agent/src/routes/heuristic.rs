//! HEURISTIC: routes of paths of which nothing else is known. Words stay as they are; what is different from call to call
//! by its form alone (numbers, UUIDs, hashes, long random texts) becomes `{id}`.

use std::borrow::Cow;

use super::pattern::is_uuid;

/// What stands for an id.
const ID: &str = "{id}";
/// Longer paths, in bytes, have no route.
const MAX_PATH: usize = 256;
/// Paths of more segments have no route.
const MAX_SEGMENTS: usize = 16;
/// Fewer hexadecimal digits are no hash.
const LEAST_HASH: usize = 16;
/// Shorter texts are not random enough to be told from words.
const LEAST_RANDOM: usize = 20;

/// The route that a path looks like; `None` if it is too long for one, or none at all.
pub fn route(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.len() > MAX_PATH || path.split('/').count() > MAX_SEGMENTS + 1 {
        return None;
    }
    let segments = path.split('/').map(|segment| {
        if is_id(segment) {
            Cow::Borrowed(ID)
        } else {
            Cow::Borrowed(segment)
        }
    });
    Some(segments.collect::<Vec<_>>().join("/"))
}

fn is_id(segment: &str) -> bool {
    let digits = count(segment, |byte| byte.is_ascii_digit());
    let is_number = digits > 0 && digits == segment.strip_prefix('-').unwrap_or(segment).len();
    is_number || is_uuid(segment, false) || is_hash(segment, digits) || is_random(segment, digits)
}

/// Hexadecimal digits only; without a decimal digit among them it could be a word.
fn is_hash(segment: &str, digits: usize) -> bool {
    segment.len() >= LEAST_HASH && digits > 0 && segment.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Base64 and the like: digits, capital and small letters in one long text, or many digits between letters. Titles that
/// were made part of an address (`how-to-use-2-cores`) have hyphens between small letters.
fn is_random(segment: &str, digits: usize) -> bool {
    let text = segment.trim_end_matches('=');
    let letters = count(text, |byte| byte.is_ascii_alphabetic());
    let signs = count(text, |byte| matches!(byte, b'-' | b'_'));
    if text.len() < LEAST_RANDOM || digits + letters + signs != text.len() {
        return false;
    }
    let capitals = count(text, |byte| byte.is_ascii_uppercase());
    let is_mixed = capitals >= 2 && letters - capitals >= 2 && digits >= 2;
    is_mixed || (signs == 0 && letters > 0 && digits >= 4)
}

fn count(text: &str, is_one: impl Fn(u8) -> bool) -> usize {
    text.bytes().filter(|byte| is_one(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_and_words_are_not() {
        for (path, expected) in [
            ("/", "/"),
            ("/users", "/users"),
            ("/users/42", "/users/{id}"),
            ("/users/-1/orders/0042/", "/users/{id}/orders/{id}/"),
            ("/t/123e4567-e89b-12d3-a456-426614174000", "/t/{id}"),
            ("/commit/9fceb02d0ae598e9", "/commit/{id}"),
            ("/blob/e3b0c44298fc1c149afbf4c8996fb92427ae41e4", "/blob/{id}"),
            ("/s/dGhpcyBpcyBhIHRlc3Q0Mg==", "/s/{id}"),
            ("/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms", "/d/{id}"),
            ("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/u/{id}"),
            // Words, whatever they look like.
            ("/user/alice", "/user/alice"),
            ("/api/v2/items", "/api/v2/items"),
            ("/decade/facade/deadbeef", "/decade/facade/deadbeef"),
            ("/effacedeffacedeffaced", "/effacedeffacedeffaced"),
            (
                "/posts/how-to-use-2-cores-in-2024-and-later",
                "/posts/how-to-use-2-cores-in-2024-and-later",
            ),
            (
                "/InternationalizationHandlerFactory",
                "/InternationalizationHandlerFactory",
            ),
            ("/static/app.3f2a1b.js", "/static/app.3f2a1b.js"),
            ("/2024-10-12", "/2024-10-12"),
        ] {
            assert_eq!(route(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_too_long_has_no_route() {
        assert_eq!(route("*"), None);
        assert_eq!(route(""), None);
        assert_eq!(route(&format!("/{}", "a".repeat(MAX_PATH))), None);
        assert_eq!(route(&"/a".repeat(MAX_SEGMENTS + 1)), None);
        assert!(route(&"/a".repeat(MAX_SEGMENTS)).is_some());
    }
}
