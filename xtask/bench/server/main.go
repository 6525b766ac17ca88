// A server that does next to nothing, so that what an observer costs stands out.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
