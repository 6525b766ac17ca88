// Parents is a net/http server whose every call names the request that made it: GET /WAY/NAME, SELECT … AS r_NAME, and
// GET /leaf/NAME/NUMBER. It is its own leaf, in another process.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"net/http"
	"net/url"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

// calls holds what the calls are made with; all requests share it.
type calls struct {
	leaf    string
	client  *http.Client
	pq, pgx *sql.DB
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	dsn := flag.String("dsn", "", "PostgreSQL to use; without it, this is only a leaf")
	leaf := flag.String("leaf", "", "address of the leaf")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /leaf/{name}/{number}", answer)
	if *dsn != "" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 32
		route(mux, &calls{
			leaf:   *leaf,
			client: &http.Client{Transport: transport},
			pq:     open("postgres", *dsn+"?sslmode=disable"),
			pgx:    open("pgx", *dsn),
		})
	}
	log.Fatal(http.ListenAndServe(*listen, mux))
}

// answer takes a little while, not always the same, so that answers do not come in the order of the requests.
func answer(w http.ResponseWriter, r *http.Request) {
	hash := fnv.New32a()
	io.WriteString(hash, r.URL.Path)
	time.Sleep(time.Duration(hash.Sum32()%2000) * time.Microsecond)
	fmt.Fprintln(w, r.URL.Path)
}

func open(driver, dsn string) *sql.DB {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(12)
	return db
}

// must ends the program: a call that fails would look like one that was not seen.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func (c *calls) fetch(name string, number int) {
	response, err := c.client.Get(fmt.Sprintf("%s/leaf/%s/%d", c.leaf, name, number))
	must(err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	must(err)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
}

// query reads all rows of its one statement.
func query(on querier, name string, rows int) {
	answer, err := on.QueryContext(context.Background(),
		fmt.Sprintf("SELECT n AS r_%s, repeat('x', 1000) FROM generate_series(1, $1) AS n", name), rows)
	must(err)
	defer answer.Close()
	for answer.Next() {
	}
	must(answer.Err())
}

func (c *calls) leafURL() *url.URL {
	address, err := url.Parse(c.leaf)
	must(err)
	return address
}
