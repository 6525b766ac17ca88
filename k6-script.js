// Load on the demo: `docker compose --profile load up`, or `k6 run k6-script.js` against ports of this machine.
// With FAULTS=on, one request in ten for /users fails and one in ten takes ten seconds: neither is an error of this script. Its
// summary says how many there were, which is what the objectives of fastapi-app have to say, too.
import http from "k6/http";
import exec from "k6/execution";
import { check, sleep } from "k6";
import { Rate } from "k6/metrics";

const BASE_URL = __ENV.BASE_URL || "http://localhost:8001";

export const options = {
  vus: Number(__ENV.VUS || 10),
  duration: __ENV.DURATION || "60m",
};

// Of all requests for /users, and of those that did not fail.
const usersFailed = new Rate("users_failed");
const usersSlow = new Rate("users_slow");

http.setResponseCallback(http.expectedStatuses(200, 500));

export default function () {
  const users = http.get(`${BASE_URL}/users`);
  usersFailed.add(users.status !== 200);
  if (users.status === 200) {
    usersSlow.add(users.timings.duration > 1000);
  }
  // Seldom enough to leave flask-app's share of failures near that of /users.
  if (exec.scenario.iterationInTest % 10 === 0) {
    const albums = http.get(`${BASE_URL}/albums`);
    check(albums, { "/albums is answered with 200": (response) => response.status === 200 });
  }
  sleep(0.5);
}
