module sidelight_bench

go 1.24.0
