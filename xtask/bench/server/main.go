// A server that does next to nothing, so that what an observer costs stands out. With a second address it asks the server
// there for each answer.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// passOn answers what the server at next answers.
func passOn(next string) http.HandlerFunc {
	// As many connections as are asked for at once, all kept.
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
	return func(w http.ResponseWriter, _ *http.Request) {
		answer, err := client.Get("http://" + next + "/hello")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	}
}

func main() {
	handler := hello
	if len(os.Args) > 2 {
		handler = passOn(os.Args[2])
	}
	http.HandleFunc("GET /hello", handler)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
