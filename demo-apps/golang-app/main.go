// The albums service.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

const shutdownTimeout = 5 * time.Second

type album struct {
	ID     int     `json:"id"`
	Title  string  `json:"title"`
	Artist string  `json:"artist"`
	Price  float64 `json:"price"`
}

type server struct {
	db *sql.DB
}

func (s *server) listAlbums(w http.ResponseWriter, r *http.Request) {
	rows, err := s.db.QueryContext(r.Context(), "SELECT id, title, artist, price FROM albums ORDER BY id")
	if err != nil {
		fail(w, r, err)
		return
	}
	defer rows.Close()
	albums := []album{}
	for rows.Next() {
		var a album
		if err := rows.Scan(&a.ID, &a.Title, &a.Artist, &a.Price); err != nil {
			fail(w, r, err)
			return
		}
		albums = append(albums, a)
	}
	if err := rows.Err(); err != nil {
		fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, albums)
}

func (s *server) getAlbum(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": "an album's id is a number"})
		return
	}
	var a album
	err = s.db.QueryRowContext(r.Context(), "SELECT id, title, artist, price FROM albums WHERE id = $1", id).
		Scan(&a.ID, &a.Title, &a.Artist, &a.Price)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		reply(w, http.StatusNotFound, map[string]string{"error": "no such album"})
	case err != nil:
		fail(w, r, err)
	default:
		reply(w, http.StatusOK, a)
	}
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
	reply(w, http.StatusInternalServerError, map[string]string{"error": "internal error"})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Printf("the answer was cut short: %v", err)
	}
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func run(ctx context.Context) error {
	db, err := sql.Open("pgx", env("DATABASE_URL", "postgresql://user:password@127.0.0.1:5432/db"))
	if err != nil {
		return err
	}
	defer db.Close()

	s := &server{db: db}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /albums", s.listAlbums)
	mux.HandleFunc("GET /albums/{id}", s.getAlbum)

	httpServer := &http.Server{
		Addr:              net.JoinHostPort(env("HOST", "127.0.0.1"), env("PORT", "8002")),
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		<-ctx.Done()
		timeout, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		_ = httpServer.Shutdown(timeout)
	}()
	log.Printf("listening on %s", httpServer.Addr)
	if err := httpServer.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
