// Plain is a net/http server of the standard library alone, for any Go since 1.17: GET /WAY/NAME makes calls that name
// their request, GET /leaf/NAME/NUMBER of another server.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// afterwards is how long work goes on after a response: a client has sent its next request by then.
const afterwards = 20 * time.Millisecond

var (
	listen = flag.String("listen", "127.0.0.1:0", "address to listen on")
	leaf   = flag.String("leaf", "", "address of the leaf")
	client http.Client
)

// must ends the program: a call that fails would look like one that was not seen.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	flag.Parse()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	client.Transport = transport
	target, err := url.Parse(*leaf)
	must(err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	ways := map[string]func(name string){
		"direct": func(name string) { fetch(name, 0) },
		"nested": func(name string) { nested(name, 3) },
		"group":  group,
		"pool":   pool(),
		"forget": forget,
	}
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		way, name := parts[1], parts[2]
		if way == "proxy" {
			r.URL.Path = "/leaf/" + name + "/0"
			proxy.ServeHTTP(w, r)
			return
		}
		ways[way](name)
		fmt.Fprintln(w, name)
	})))
}

func fetch(name string, number int) {
	response, err := client.Get(fmt.Sprintf("%s/leaf/%s/%d", *leaf, name, number))
	must(err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	must(err)
}

// nested calls from the last of several goroutines, of which each starts the next; the others do nothing but wait.
func nested(name string, depth int) {
	if depth == 0 {
		fetch(name, 0)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nested(name, depth-1)
	}()
	<-done
}

func group(name string) {
	var group sync.WaitGroup
	for number := 0; number < 5; number++ {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			fetch(name, number)
		}(number)
	}
	group.Wait()
}

type job struct {
	name string
	done chan struct{}
}

// pool starts goroutines in the first request that make the calls of all.
func pool() func(string) {
	queue := make(chan job, 64)
	var once sync.Once
	return func(name string) {
		once.Do(func() {
			for worker := 0; worker < 4; worker++ {
				go func() {
					for job := range queue {
						fetch(job.name, 0)
						close(job.done)
					}
				}()
			}
		})
		done := make(chan struct{})
		queue <- job{name, done}
		<-done
	}
}

// forget calls when the response is out and the connection is at its next request.
func forget(name string) {
	go func() {
		time.Sleep(afterwards)
		fetch(name, 0)
	}()
}
