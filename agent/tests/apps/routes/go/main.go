// Routers serves the same paths by one of several routers.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	router := flag.String("router", "", "chi, gin, echo or nested")
	flag.Parse()

	handlers := map[string]func() http.Handler{
		"chi":    chiRouter,
		"gin":    ginRouter,
		"echo":   echoRouter,
		"nested": nestedMux,
	}
	log.Fatal(http.ListenAndServe(*listen, handlers[*router]()))
}

func answer(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.URL.Path) }

func chiRouter() http.Handler {
	r := chi.NewRouter()
	r.Get("/albums/{id}", answer)
	r.Post("/albums/{id}", answer)
	r.Get("/numbers/{number:[0-9]+}", answer)
	r.Get("/files/*", answer)
	r.Route("/api", func(r chi.Router) {
		r.Get("/users/{user}", answer)
		r.Route("/v2", func(r chi.Router) { r.Get("/users/{user}/orders/{order}", answer) })
	})
	return r
}

func ginRouter() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	reply := func(c *gin.Context) { c.String(http.StatusOK, c.FullPath()) }
	r.GET("/albums/:id", reply)
	r.POST("/albums/:id", reply)
	r.GET("/albums/latest", reply)
	r.GET("/files/*path", reply)
	r.Group("/api").GET("/users/:user", reply)
	return r
}

func echoRouter() http.Handler {
	e := echo.New()
	reply := func(c echo.Context) error { return c.String(http.StatusOK, c.Path()) }
	e.GET("/albums/:id", reply)
	e.POST("/albums/:id", reply)
	e.GET("/albums/latest", reply)
	e.GET("/files/*", reply)
	e.Group("/api").GET("/users/:user", reply)
	return e
}

func nestedMux() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /users/{user}", answer)
	outer := http.NewServeMux()
	outer.HandleFunc("GET /albums/{id}", answer)
	outer.Handle("/api/", http.StripPrefix("/api", api))
	outer.Handle("/chi/", http.StripPrefix("/chi", chiRouter()))
	return outer
}
