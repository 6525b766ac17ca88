// Load over connections that stay open. At a fixed rate it is an open loop: each request has its time, and its latency
// counts from that time, so that a server that stalls cannot hide it by being asked less. Without a rate each connection
// asks again as soon as it has its answer, which shows how many requests the server can answer.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// What standard output gets, as JSON.
type result struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
}

type worker struct {
	address   string
	first     time.Time
	interval  time.Duration
	end       time.Time
	latencies []time.Duration
	errors    int
}

func (w *worker) run() {
	connection, err := net.Dial("tcp", w.address)
	if err != nil {
		w.errors++
		return
	}
	defer connection.Close()
	request := fmt.Appendf(nil, "GET /hello HTTP/1.1\r\nHost: %s\r\nUser-Agent: sidelight-bench\r\n\r\n", w.address)
	answers := bufio.NewReader(connection)
	for due := w.first; due.Before(w.end); due = w.next(due) {
		time.Sleep(time.Until(due))
		if err := exchange(connection, answers, request); err != nil {
			w.errors++
			return
		}
		w.latencies = append(w.latencies, time.Since(due))
	}
}

// next is the time of the request after the one of due.
func (w *worker) next(due time.Time) time.Time {
	if w.interval == 0 {
		return time.Now()
	}
	return due.Add(w.interval)
}

func exchange(connection net.Conn, answers *bufio.Reader, request []byte) error {
	if _, err := connection.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func measure(address string, rate, connections int, length time.Duration) result {
	var interval, stagger time.Duration
	if rate > 0 {
		interval = time.Duration(connections) * time.Second / time.Duration(rate)
		stagger = time.Second / time.Duration(rate)
	}
	start := time.Now().Add(100 * time.Millisecond)
	workers := make([]worker, connections)
	var group sync.WaitGroup
	for i := range workers {
		offset := time.Duration(i) * stagger
		workers[i] = worker{address: address, first: start.Add(offset), interval: interval, end: start.Add(length)}
		group.Add(1)
		go func() {
			defer group.Done()
			workers[i].run()
		}()
	}
	group.Wait()
	elapsed := time.Since(start).Seconds()

	var all []time.Duration
	errors := 0
	for i := range workers {
		all = append(all, workers[i].latencies...)
		errors += workers[i].errors
	}
	slices.Sort(all)
	quantile := func(q float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(q*float64(len(all)-1))]) / 1e3
	}
	return result{Requests: len(all), Errors: errors, Seconds: elapsed, P50: quantile(0.5), P99: quantile(0.99)}
}

func main() {
	address := flag.String("address", "127.0.0.1:8080", "the server, on this machine")
	rate := flag.Int("rate", 1000, "requests a second in total; 0: as many as are answered")
	connections := flag.Int("connections", 64, "connections")
	length := flag.Duration("length", 10*time.Second, "how long")
	flag.Parse()
	target, err := netip.ParseAddrPort(*address)
	if err != nil || !target.Addr().IsLoopback() {
		log.Fatalf("%s is not a loopback address and port: this program loads its own machine only", *address)
	}
	if *rate < 0 || *connections <= 0 || *length <= 0 {
		log.Fatal("connections and length must be positive, and rate not negative")
	}
	if err := json.NewEncoder(os.Stdout).Encode(measure(*address, *rate, *connections, *length)); err != nil {
		log.Fatal(err)
	}
}
