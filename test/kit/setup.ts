/** Runs in every test process, before each file. */
import { afterAll } from "vitest"

/** One whose parent is gone must not live on, nor keep its servers running. */
process.once("disconnect", () => {
  // Not process.exit, which the test runner replaces.
  process.kill(process.pid, "SIGKILL")
})

/** `npm run test:node` says which Node is to run the tests: another one would prove nothing. */
const asked = process.env["TEST_NODE"]
if (asked !== undefined && asked !== process.version) {
  throw new Error(`this is Node ${process.version}, and the tests were to run on ${asked}`)
}

/**
 * Passwords of all servers that the kit starts, and that of the fake one: none of them may be written, to the
 * console or to either stream, during the whole run. A file that let one out fails.
 */
const secret = /pw-[0-9a-f]{24}|secret-canary/

const seen: Array<string> = []

const watch = (target: object, name: string): void => {
  const write: unknown = Reflect.get(target, name)
  if (typeof write === "function") {
    Reflect.set(target, name, (...args: ReadonlyArray<unknown>): unknown => {
      for (const arg of args) {
        const text = typeof arg === "string" ? arg : arg instanceof Uint8Array ? new TextDecoder().decode(arg) : ""
        const found = secret.exec(text)
        if (found !== null) {
          seen.push(text.slice(Math.max(found.index - 200, 0), found.index))
        }
      }
      return Reflect.apply(write, target, args)
    })
  }
}

for (const name of ["debug", "error", "info", "log", "trace", "warn"]) {
  watch(console, name)
}
watch(process.stdout, "write")
watch(process.stderr, "write")

afterAll(() => {
  if (seen.length > 0) {
    throw new Error(`a password was written, behind: ${seen.map((text) => JSON.stringify(text)).join("; ")}`)
  }
})
