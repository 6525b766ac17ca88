// Load on the demo: `docker compose --profile load up`, or `k6 run k6-script.js` against ports of this machine.
// With FAULTS=on, one request in ten for /users fails and one in ten takes ten seconds: neither is an error of this script.
import http from "k6/http";
import { check, sleep } from "k6";

const BASE_URL = __ENV.BASE_URL || "http://localhost:8001";

export const options = {
  vus: Number(__ENV.VUS || 10),
  duration: __ENV.DURATION || "15m",
};

http.setResponseCallback(http.expectedStatuses(200, 500));

export default function () {
  const users = http.get(`${BASE_URL}/users`);
  check(users, { "/users is answered with 200": (response) => response.status === 200 });
  const albums = http.get(`${BASE_URL}/albums`);
  check(albums, { "/albums is answered with 200": (response) => response.status === 200 });
  sleep(0.5);
}
