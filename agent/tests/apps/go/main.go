// Testapp is a plain net/http server over PostgreSQL, once through lib/pq and once through pgx.
package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	dsn := flag.String("dsn", "", "PostgreSQL to use")
	files := flag.String("files", ".", "folder served under /files/")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("/items/{name}", item)
	mux.HandleFunc("GET /status/{code}/{name}", status)
	mux.HandleFunc("GET /sleep/{millis}/{name}", sleep)
	mux.HandleFunc("GET /stream/{pieces}/{name}", stream)
	mux.HandleFunc("GET /bytes/{size}/{name}", bytes)
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServer(http.Dir(*files))))
	if *dsn != "" {
		routeDatabase(mux, "pgx", open("pgx", *dsn))
		// lib/pq insists on TLS unless told otherwise.
		routeDatabase(mux, "pq", open("postgres", *dsn+"?sslmode=disable"))
	}
	log.Printf("listening on %s", *listen)
	log.Fatal(http.ListenAndServe(*listen, mux))
}

func item(w http.ResponseWriter, r *http.Request) {
	received, _ := io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"item\":%q,\"received\":%d}\n", r.PathValue("name"), received)
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil {
		code = http.StatusBadRequest
	}
	w.WriteHeader(code)
}

func sleep(w http.ResponseWriter, r *http.Request) {
	millis, _ := strconv.Atoi(r.PathValue("millis"))
	time.Sleep(time.Duration(millis) * time.Millisecond)
	fmt.Fprintln(w, "slept")
}

func stream(w http.ResponseWriter, r *http.Request) {
	pieces, _ := strconv.Atoi(r.PathValue("pieces"))
	flusher := w.(http.Flusher)
	for number := range pieces {
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintf(w, "piece %d\n", number)
		flusher.Flush()
	}
}

func bytes(w http.ResponseWriter, r *http.Request) {
	size, _ := strconv.Atoi(r.PathValue("size"))
	w.Header().Set("Content-Length", strconv.Itoa(size))
	block := make([]byte, 64*1024)
	for size > 0 {
		n, err := w.Write(block[:min(size, len(block))])
		if err != nil {
			return
		}
		size -= n
	}
}

// open fills the pool at once: one connection, never given up.
func open(driver, dsn string) *sql.DB {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if err := db.Ping(); err != nil {
		log.Fatal(err)
	}
	return db
}

// routeDatabase gives one driver its endpoints.
func routeDatabase(mux *http.ServeMux, name string, db *sql.DB) {
	mux.HandleFunc("GET /"+name+"/people/{id}", func(w http.ResponseWriter, r *http.Request) {
		var person string
		id, _ := strconv.Atoi(r.PathValue("id"))
		err := db.QueryRowContext(r.Context(), "SELECT name FROM people WHERE id = $1", id).Scan(&person)
		reply(w, person, err)
	})
	mux.HandleFunc("POST /"+name+"/notes/{person}", func(w http.ResponseWriter, r *http.Request) {
		person, _ := strconv.Atoi(r.PathValue("person"))
		_, err := db.ExecContext(r.Context(), "INSERT INTO notes (person, body) VALUES ($1, $2)", person, "noted")
		reply(w, "noted", err)
	})
	mux.HandleFunc("GET /"+name+"/transaction/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.Atoi(r.PathValue("id"))
		person, err := inTransaction(r, db, id)
		reply(w, person, err)
	})
	mux.HandleFunc("GET /"+name+"/literal/{id}", func(w http.ResponseWriter, r *http.Request) {
		var person string
		err := db.QueryRowContext(r.Context(), "SELECT name FROM people WHERE name <> 'hunter2' LIMIT 1").Scan(&person)
		reply(w, person, err)
	})
	mux.HandleFunc("GET /"+name+"/missing/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, err := db.ExecContext(r.Context(), "SELECT secret FROM no_such_table WHERE word = 'hunter2'")
		reply(w, "", err)
	})
}

func inTransaction(r *http.Request, db *sql.DB, id int) (string, error) {
	transaction, err := db.BeginTx(r.Context(), nil)
	if err != nil {
		return "", err
	}
	var person string
	err = transaction.QueryRowContext(r.Context(), "SELECT name FROM people WHERE id = $1", id).Scan(&person)
	return person, errors.Join(err, transaction.Commit())
}

func reply(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, text)
}
