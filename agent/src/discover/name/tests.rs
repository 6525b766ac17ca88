use std::path::PathBuf;

use super::*;

/// What a process looks like, in one line.
struct Case {
    language: Option<&'static str>,
    command: &'static str,
    folder: &'static str,
    name: &'static str,
}

fn case(language: &'static str, command: &'static str, folder: &'static str, name: &'static str) -> Case {
    let language = (!language.is_empty()).then_some(language);
    Case {
        language,
        command,
        folder,
        name,
    }
}

fn facts(command: &str, folder: &str) -> Facts {
    let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
    Facts {
        executable: PathBuf::from(&arguments[0]),
        arguments,
        working_directory: (!folder.is_empty()).then(|| PathBuf::from(folder)),
        ..Facts::default()
    }
}

fn runtime(language: Option<&'static str>) -> Runtime {
    Runtime {
        language,
        ..Runtime::default()
    }
}

fn name_of(facts: &Facts, runtime: &Runtime) -> String {
    of(Evidence {
        facts,
        runtime: Some(runtime),
        attribute: None,
        given: None,
        container: None,
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn command_lines() {
    let py = |command, folder, name| case("python", command, folder, name);
    let cases = [
        // Scripts.
        py("python app.py", "/srv/demo/flask-app", "flask-app"),
        py(
            "/usr/bin/python3.11 main.py",
            "/srv/fastapi-app/app",
            "fastapi-app",
        ),
        py("python3 /opt/shop/src/app.py", "/", "shop"),
        py(
            "python3 -u -X dev -W ignore billing.py --port 8000",
            "/srv",
            "billing",
        ),
        py(
            "python3 manage.py runserver 0.0.0.0:8000",
            "/srv/storefront",
            "storefront",
        ),
        py("python3 app.py", "/app", "app"),
        py("python3 app.py", "", "app"),
        // Modules.
        py("python -m shop", "/x", "shop"),
        py("python -m shop.server", "/x", "shop"),
        py("python -Im shop.orders", "/x", "shop.orders"),
        py("python -mshop", "/x", "shop"),
        py("python3 -m http.server 8000", "/x", "http"),
        py("python -m uvicorn main:app", "/srv/fastapi-app", "fastapi-app"),
        py("python -m flask run", "/srv/flask-app", "flask-app"),
        py("python -m flask --app orders run -p 80", "/srv/x", "orders"),
        // Servers.
        py(
            "/venv/bin/python /venv/bin/gunicorn app:app",
            "/srv/flask-app",
            "flask-app",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn -w 4 -b 0.0.0.0:8001 shop.wsgi",
            "/x",
            "shop",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn shop.wsgi:application -k gthread",
            "/x",
            "shop",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn --bind unix:app.sock --reload orders",
            "/x",
            "orders",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn -k uvicorn.workers.UvicornWorker app.main:app",
            "/srv/pay",
            "pay",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn --name checkout app:app",
            "/srv/x",
            "checkout",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn --chdir /srv/cart app:app",
            "/",
            "cart",
        ),
        py(
            "/venv/bin/python /venv/bin/gunicorn shop:create_app()",
            "/x",
            "shop",
        ),
        py(
            "/venv/bin/python /venv/bin/uvicorn app.main:app --host 0.0.0.0",
            "/srv/ledger",
            "ledger",
        ),
        py(
            "/venv/bin/python /venv/bin/uvicorn --app-dir stock main:app",
            "/srv/x",
            "stock",
        ),
        py("/venv/bin/python /venv/bin/uvicorn app.main:app", "/app", "app"),
        py(
            "/venv/bin/python /venv/bin/hypercorn shop.orders:app",
            "/x",
            "shop.orders",
        ),
        py(
            "/venv/bin/python /venv/bin/fastapi run app/main.py",
            "/srv/wallet",
            "wallet",
        ),
        py("/venv/bin/python /venv/bin/fastapi dev", "/srv/wallet", "wallet"),
        py(
            "/venv/bin/python /venv/bin/celery -A shop.tasks worker",
            "/x",
            "shop.tasks",
        ),
        py("uwsgi --http :80 --module shop.wsgi:application", "/x", "shop"),
        case("", "uwsgi --wsgi-file /srv/shop/app.py", "/", "shop"),
        // Never the interpreter with its version.
        py("/usr/bin/python3.11 -c pass", "/", "python"),
        py("/usr/bin/python3.11 -", "/srv/batch", "batch"),
        // Others.
        case("nodejs", "node server.js", "/srv/web-shop", "web-shop"),
        case(
            "nodejs",
            "node -r dotenv/config dist/billing.js",
            "/srv/x",
            "billing",
        ),
        case(
            "nodejs",
            "node /srv/web/node_modules/.bin/next start",
            "/srv/web",
            "web",
        ),
        case("ruby", "ruby bin/rails server", "/srv/store", "store"),
        case(
            "java",
            "java -Xmx1g -jar /opt/shop-1.4.2-SNAPSHOT.jar",
            "/",
            "shop",
        ),
        case("java", "java -cp a.jar:b.jar com.acme.shop.Main", "/", "shop"),
        case(
            "java",
            "java -Dspring.application.name=cart -jar app.jar",
            "/",
            "cart",
        ),
        case("java", "java -cp x com.acme.OrderService", "/", "OrderService"),
        case("dotnet", "dotnet /app/Shop.Api.dll", "/app", "Shop.Api"),
        case("", "/usr/sbin/nginx -g daemon", "/", "nginx"),
        case("rust", "/usr/local/bin/gateway --port 80", "/", "gateway"),
    ];
    for Case {
        language,
        command,
        folder,
        name,
    } in cases
    {
        assert_eq!(
            name_of(&facts(command, folder), &runtime(language)),
            name,
            "{command} in {folder}"
        );
    }
}

#[test]
fn rewritten_titles() {
    for (language, title, folder, name) in [
        (
            "python",
            "gunicorn: worker [app:app]",
            "/srv/flask-app",
            "flask-app",
        ),
        ("python", "gunicorn: master [shop.wsgi]", "/x", "shop"),
        ("python", "gunicorn: worker [checkout-eu]", "/x", "checkout-eu"),
        ("ruby", "puma 6.4.2 (tcp://0.0.0.0:3000) [store]", "/x", "store"),
        ("nodejs", "next-server (v14.2.1)", "/srv/web", "web"),
    ] {
        let facts = Facts {
            arguments: vec![title.to_owned()],
            ..facts("/usr/bin/x", folder)
        };
        assert_eq!(name_of(&facts, &runtime(Some(language))), name, "{title}");
    }
}

#[test]
fn a_program_in_memory_has_the_name_under_which_it_was_started() {
    let mut facts = facts("/usr/bin/worker --once", "/");
    facts.executable = PathBuf::from("/memfd:sealed-91173221a7ea");
    assert_eq!(name_of(&facts, &runtime(Some("rust"))), "worker");
}

#[test]
fn flasks_own_variable() {
    let mut facts = facts("/venv/bin/python /venv/bin/flask run", "/srv/x");
    facts
        .environment
        .push(("FLASK_APP".to_owned(), "./src/orders.py:create_app".to_owned()));
    assert_eq!(name_of(&facts, &runtime(Some("python"))), "orders");
}

#[test]
fn go_modules() {
    for (module, name) in [
        ("golang-app", Some("golang-app")),
        ("github.com/acme/shop", Some("shop")),
        ("github.com/acme/shop/v2", Some("shop")),
        ("gopkg.in/shop.v3", Some("shop")),
        ("github.com/acme/shop/cmd/server", Some("shop")),
        ("main", None),
    ] {
        assert_eq!(go(module).as_deref(), name, "{module}");
    }
    let unnamed = facts("/usr/local/bin/gateway", "/");
    assert_eq!(name_of(&unnamed, &runtime(Some("go"))), "gateway");
}

#[test]
fn the_order_of_what_names_a_process() {
    let mut facts = facts("python app.py", "/srv/shop");
    let runtime = runtime(Some("python"));
    let mut evidence = Evidence {
        facts: &facts.clone(),
        runtime: Some(&runtime),
        attribute: None,
        given: None,
        container: None,
    };
    assert_eq!(of(evidence), "shop");
    evidence.container = Some("container");
    assert_eq!(of(evidence), "container");
    evidence.given = Some("given");
    assert_eq!(of(evidence), "given");
    evidence.attribute = Some("attribute");
    assert_eq!(of(evidence), "attribute");
    facts
        .environment
        .push(("OTEL_SERVICE_NAME".to_owned(), "own".to_owned()));
    evidence.facts = &facts;
    assert_eq!(of(evidence), "own");
}

#[test]
fn helpers_of_multiprocessing_are_their_parents() {
    let helper = Facts {
        arguments: [
            "python",
            "-c",
            "from multiprocessing.spawn import spawn_main; spawn_main()",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Facts::default()
    };
    assert!(is_the_parents(&helper));
    assert!(!is_the_parents(&facts("python app.py", "/")));
}
