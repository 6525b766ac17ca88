//! The routers of Go, each in its own writing.

use super::*;

fn router(style: Style, routes: &[&str]) -> Router {
    let parsed = routes.iter().map(|route| match style {
        Style::ServeMux | Style::OldServeMux => Route::parse_registered(style, route).unwrap(),
        Style::Chi | Style::Gin => {
            let (method, path) = route.split_once(' ').unwrap();
            Route::parse(style, path, method).unwrap()
        }
    });
    Router::new(parsed.collect())
}

fn check(router: &Router, cases: &[(&str, &str, Option<&str>)]) {
    for (method, path, expected) in cases {
        let asked = Asked {
            method,
            path,
            host: "shop.example:8080",
        };
        let route = router.route(&asked);
        assert_eq!(route.as_deref(), *expected, "{method} {path}");
    }
}

#[test]
fn serve_mux() {
    let router = router(
        Style::ServeMux,
        &[
            "/",
            "GET /albums",
            "GET /albums/{id}",
            "GET /albums/latest",
            "/albums/{id}/songs/{song}",
            "/albums/{id}/x/b",
            "POST /upload/{path...}",
            "/exact/{$}",
            "/static/",
            "shop.example/only",
            "other.example/albums",
        ],
    );
    check(
        &router,
        &[
            ("GET", "/albums", Some("/albums")),
            ("HEAD", "/albums", Some("/albums")),
            ("DELETE", "/albums", Some("/")),
            ("GET", "/albums/7", Some("/albums/{id}")),
            ("GET", "/albums/latest", Some("/albums/latest")),
            ("GET", "/albums/latest/songs/2", Some("/albums/{id}/songs/{song}")),
            ("GET", "/albums/7/x/b", Some("/albums/{id}/x/b")),
            ("POST", "/upload/a/b", Some("/upload/{path...}")),
            ("GET", "/exact/", Some("/exact/{$}")),
            ("GET", "/exact/a", Some("/")),
            ("GET", "/static/a/b.js", Some("/static/")),
            ("GET", "/only", Some("/only")),
            ("GET", "/", Some("/")),
        ],
    );
}

#[test]
fn the_serve_mux_of_old() {
    let router = router(
        Style::OldServeMux,
        &["/a/", "/a/b", "/a/b/", "/{id}", "shop.example/a/c/"],
    );
    check(
        &router,
        &[
            ("GET", "/a/b", Some("/a/b")),
            ("POST", "/a/b/c", Some("/a/b/")),
            ("GET", "/a/x", Some("/a/")),
            ("GET", "/a/c/d", Some("/a/c/")),
            ("GET", "/7", None),
        ],
    );
}

#[test]
fn gin() {
    let router = router(
        Style::Gin,
        &[
            "GET /users/:id",
            "GET /users/me",
            "POST /users/:name",
            "GET /files/*path",
            "GET /v:n/x",
        ],
    );
    check(
        &router,
        &[
            ("GET", "/users/7", Some("/users/:id")),
            ("GET", "/users/me", Some("/users/me")),
            ("POST", "/users/me", Some("/users/:name")),
            ("GET", "/files/a/b", Some("/files/*path")),
            ("GET", "/v2/x", Some("/v:n/x")),
            ("GET", "/users", None),
            ("HEAD", "/users/7", None),
        ],
    );
}

#[test]
fn chi_and_what_is_mounted_in_it() {
    let admin = router(
        Style::Chi,
        &["GET /", "GET /users/{id:[0-9]+}", "GET /users/{slug:[a-z-]+}"],
    );
    let mounted = |path: &str| {
        Route::parse(Style::Chi, path, "").unwrap().leading_to(Inside {
            router: admin.clone(),
            stripped: Stripped::Route,
        })
    };
    let get = |path: &str| Route::parse(Style::Chi, path, "GET").unwrap();
    let router = Router::new(vec![
        get("/users/{id}"),
        get("/users/{id}.json"),
        get("/files/*"),
        mounted("/admin/*"),
        mounted("/t/{tenant}/*"),
        mounted("/admin"),
    ]);
    check(
        &router,
        &[
            ("GET", "/users/7", Some("/users/{id}")),
            ("GET", "/users/7.json", Some("/users/{id}.json")),
            ("GET", "/files/a/b", Some("/files/*")),
            ("GET", "/admin/users/7", Some("/admin/users/{id:[0-9]+}")),
            ("GET", "/admin", Some("/admin")),
            ("GET", "/t/acme/users/7", Some("/t/{tenant}/users/{id:[0-9]+}")),
            ("POST", "/users/7", None),
        ],
    );
    // An expression that is not known may be right or wrong.
    check(&admin, &[("GET", "/users/seven", None)]);
}

#[test]
fn a_router_behind_a_stripped_prefix() {
    let api = router(Style::ServeMux, &["GET /users/{id}"]);
    let route = Route::parse_registered(Style::ServeMux, "/api/").unwrap();
    let outer = Router::new(vec![route.leading_to(Inside {
        router: api,
        stripped: Stripped::Text("/api".to_owned()),
    })]);
    check(
        &outer,
        &[
            ("GET", "/api/users/7", Some("/api/users/{id}")),
            ("GET", "/api/else", Some("/api/")),
        ],
    );
}
