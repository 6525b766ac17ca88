CREATE TABLE users (
    id   serial PRIMARY KEY,
    name text NOT NULL,
    age  integer NOT NULL
);

INSERT INTO users (name, age) VALUES
    ('admin', 10),
    ('vasya', 20);

CREATE TABLE albums (
    id     serial PRIMARY KEY,
    title  text NOT NULL,
    artist text NOT NULL,
    price  numeric(10, 2) NOT NULL
);

INSERT INTO albums (title, artist, price) VALUES
    ('Blue Train', 'John Coltrane', 56.99),
    ('Jeru', 'Gerry Mulligan', 17.99),
    ('Sarah Vaughan and Clifford Brown', 'Sarah Vaughan', 39.99);
