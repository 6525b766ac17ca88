// Plain has routes of net/http alone, so that any version of Go builds it.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	standard := flag.Bool("default", false, "use http.DefaultServeMux")
	bare := flag.Bool("bare", false, "use no mux at all")
	flag.Parse()

	mux := http.NewServeMux()
	if *standard {
		mux = http.DefaultServeMux
	}
	answer := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.URL.Path) }
	// Before Go 1.22 this stands for itself, whatever it looks like.
	mux.HandleFunc("/albums/{id}", answer)
	mux.HandleFunc("/albums/", answer)
	mux.HandleFunc("/exact", answer)
	// More than are kept in a list.
	for number := 0; number < 100; number++ {
		mux.HandleFunc(fmt.Sprintf("/shelf%d/", number), answer)
	}
	if *bare {
		log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(answer)))
	}
	if *standard {
		log.Fatal(http.ListenAndServe(*listen, nil))
	}
	log.Fatal(http.ListenAndServe(*listen, logged(mux)))
}

// logged hides what it calls in a closure.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}
