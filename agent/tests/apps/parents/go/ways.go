package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// afterwards is how long work goes on after a response: a client has sent its next request by then.
const afterwards = 20 * time.Millisecond

func route(mux *http.ServeMux, c *calls) {
	ways := map[string]func(name string){
		"direct":         func(name string) { c.fetch(name, 0) },
		"sequence":       c.sequence,
		"nested":         c.nested,
		"group":          c.group,
		"pq":             func(name string) { query(c.pq, name, 1) },
		"pgx":            func(name string) { query(c.pgx, name, 1) },
		"rows":           c.rows,
		"transaction":    c.transaction,
		"sql_group":      c.sqlGroup,
		"pool":           pool(c, true),
		"lazy_pool":      pool(c, false),
		"lazy_pool_late": latePool(c),
		"forget":         c.forget,
		"timer":          c.timer,
	}
	for way, call := range ways {
		mux.HandleFunc("GET /"+way+"/{name}", func(w http.ResponseWriter, r *http.Request) {
			call(r.PathValue("name"))
			fmt.Fprintln(w, r.URL.Path)
		})
	}
	mux.Handle("GET /proxy/{name}", c.proxy())
}

func (c *calls) sequence(name string) {
	c.fetch(name, 0)
	query(c.pq, name, 1)
	c.fetch(name, 1)
}

// nested calls from the fourth goroutine below the handler's; those between do nothing but wait.
func (c *calls) nested(name string) {
	var descend func(depth int)
	descend = func(depth int) {
		if depth == 0 {
			c.fetch(name, 0)
			query(c.pgx, name, 1)
			return
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			descend(depth - 1)
		}()
		<-done
	}
	descend(4)
}

func (c *calls) group(name string) {
	var group sync.WaitGroup
	for number := range 5 {
		group.Add(1)
		go func() {
			defer group.Done()
			c.fetch(name, number)
		}()
	}
	group.Wait()
}

func (c *calls) sqlGroup(name string) {
	var group sync.WaitGroup
	for number := range 3 {
		group.Add(1)
		go func() {
			defer group.Done()
			query([]querier{c.pq, c.pgx, c.pq}[number], name, 1)
		}()
	}
	group.Wait()
}

// rows gets answers that take the driver several reads.
func (c *calls) rows(name string) {
	query(c.pq, name, 300)
	query(c.pgx, name, 300)
}

func (c *calls) transaction(name string) {
	transaction, err := c.pq.BeginTx(context.Background(), nil)
	must(err)
	query(transaction, name, 1)
	query(transaction, name, 1)
	must(transaction.Commit())
}

// job is a call that somebody else makes.
type job struct {
	name string
	done chan struct{}
}

// jobs starts goroutines that make the calls of all requests.
func jobs(c *calls) chan job {
	queue := make(chan job, 64)
	for range 4 {
		go func() {
			for job := range queue {
				c.fetch(job.name, 0)
				close(job.done)
			}
		}()
	}
	return queue
}

// pool has its goroutines from the start, or starts them in the first request, which they then seem to belong to.
func pool(c *calls, early bool) func(string) {
	queue := sync.OnceValue(func() chan job { return jobs(c) })
	if early {
		queue()
	}
	return func(name string) {
		done := make(chan struct{})
		queue() <- job{name, done}
		<-done
	}
}

// latePool hands its calls over and does not wait for them.
func latePool(c *calls) func(string) {
	queue := sync.OnceValue(func() chan job { return jobs(c) })
	return func(name string) { queue() <- job{name, make(chan struct{})} }
}

// forget calls when the response is out and the connection is at its next request.
func (c *calls) forget(name string) {
	go func() {
		time.Sleep(afterwards)
		c.fetch(name, 0)
	}()
}

func (c *calls) timer(name string) {
	time.AfterFunc(afterwards, func() { c.fetch(name, 0) })
}

func (c *calls) proxy() http.Handler {
	leaf := c.leafURL()
	return &httputil.ReverseProxy{
		Transport: c.client.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			name := r.In.PathValue("name")
			r.SetURL(leaf)
			r.Out.URL.Path = "/leaf/" + name + "/0"
			r.Out.URL.RawPath = ""
		},
	}
}
