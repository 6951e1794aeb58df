/**
 * Clients that keep their connections, as a process of its own: each sends one request after the other until the server
 * takes no more connections. Arguments: the address of what they ask for, how many there are, and a body for POST. Writes
 * `started` when each has had an answer, and at the end one line of JSON.
 */
import { Agent, request } from "node:http"

const [url, count, body] = process.argv.slice(2)

interface Seen {
  answered: number
  /** How many answers were the last one of their connection. */
  closed: number
  failures: Array<string>
}

const seen: Seen = { answered: 0, closed: 0, failures: [] }

let started = 0

const ask = (agent: Agent): Promise<string | undefined> =>
  new Promise((resolve) => {
    const sent = request(url!, { agent, method: body === undefined ? "GET" : "POST" }, (response) => {
      response.resume()
      response.once("end", () => {
        seen.answered++
        if (response.headers.connection === "close") {
          seen.closed++
        }
        resolve(response.statusCode! < 500 ? undefined : String(response.statusCode))
      })
      response.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    sent.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    sent.end(body)
  })

const client = async (): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let asked = 0;; asked++) {
    const failure = await ask(agent)
    if (failure !== undefined) {
      // Refused is how a client learns that there is no server any more; whatever else is a request that was lost.
      if (failure !== "ECONNREFUSED") {
        seen.failures.push(failure)
      }
      return
    }
    if (asked === 0 && ++started === Number(count)) {
      process.stdout.write("started\n")
    }
  }
}

await Promise.all(Array.from({ length: Number(count) }, client))
process.stdout.write(`${JSON.stringify(seen)}\n`)

export {}
