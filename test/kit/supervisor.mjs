/**
 * Keeps one PostgreSQL server, in a process of its own. It lives as long as its standard input is open: when the process
 * that started it ends, however it ends, the server is stopped and its folder removed. Requests and answers are lines
 * of JSON, answered in order.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as readline from "node:readline"

const { directory, gid, uid } = JSON.parse(process.argv[2])
const identity = uid === undefined ? {} : { uid, gid }
// Nothing of the caller's environment: a PGPORT or PGDATA there must not reach the server.
const env = { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot, LC_ALL: "C", TZ: "UTC" }

let server
let serverExit = Promise.resolve()

const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n")

const run = ({ args, command }) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { ...identity, env, cwd: directory, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    child.stdout.on("data", (chunk) => output += chunk)
    child.stderr.on("data", (chunk) => output += chunk)
    child.on("error", (error) => resolve({ ok: false, output: error.message }))
    child.on("close", (code) => resolve({ ok: code === 0, output }))
  })

const start = ({ args, command }) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { ...identity, env, cwd: directory, stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    let ready = false
    child.on("error", (error) => resolve({ ok: false, output: error.message }))
    child.stderr.on("data", (chunk) => {
      if (ready) return
      output += chunk
      if (/database system is ready to accept (?:read-only )?connections/.test(output)) {
        ready = true
        server = child
        resolve({ ok: true, output: "" })
      }
    })
    serverExit = new Promise((exited) =>
      child.on("close", () => {
        if (server === child) server = undefined
        exited()
        resolve({ ok: false, output })
      })
    )
  })

const stop = async ({ signal }) => {
  const child = server
  if (child !== undefined) {
    child.kill(signal)
    const hard = setTimeout(() => child.kill("SIGKILL"), 10_000)
    await serverExit
    clearTimeout(hard)
  }
  return { ok: true, output: "" }
}

const operations = { run, start, stop }

let queue = Promise.resolve()
const lines = readline.createInterface({ input: process.stdin })
lines.on("line", (line) => {
  const request = JSON.parse(line)
  queue = queue.then(() => operations[request.operation](request)).then(answer)
})
lines.on("close", () => {
  // Whatever is under way first: a server that is still starting must not survive.
  queue.then(() => stop({ signal: "SIGQUIT" })).then(() => {
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    process.exit(0)
  })
})
// The reader of our answers may be gone before we are.
process.stdout.on("error", () => {})
