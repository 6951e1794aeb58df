/**
 * The command line in a folder of its own, for tests.
 *
 * - `shell`: `Effect<Shell, never, Scope>`; `dblive(args)` runs it within the test's process, `start(program)(args)` as a process of
 *   its own, by the program's path (`bundle` makes it).
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { format } from "node:util"
import { vi } from "vitest"
import { program } from "../../src/internal/cli/app.js"

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export type Run = (args: ReadonlyArray<string>, options?: {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Sent once standard error holds this. */
  readonly signal?: { readonly after: RegExp; readonly name: "SIGINT" | "SIGTERM" }
}) => Effect.Effect<Ended>

export interface Shell {
  readonly folder: string
  /** Runs `dblive` in the folder, as a process. */
  readonly start: (program: string) => Run
  /** The same within this process, in a twentieth of the time; without standard input. */
  readonly dblive: Run
  readonly write: (file: string, text: string) => void
}

const environment = (folder: string, env: Readonly<Record<string, string>> | undefined) => ({
  PATH: process.env["PATH"],
  HOME: folder,
  ...env
})

const start = (folder: string) => (file: string): Run => (args, options) =>
  Effect.async<Ended>((resume) => {
    const child = spawn(process.execPath, [file, ...args], {
      cwd: folder,
      env: environment(folder, options?.env),
      stdio: "pipe"
    })
    let out = ""
    let err = ""
    let signal = options?.signal
    child.stdout.setEncoding("utf8").on("data", (text: string) => out += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text
      if (signal !== undefined && signal.after.test(err)) {
        child.kill(signal.name)
        signal = undefined
      }
    })
    child.on("close", (code) => resume(Effect.succeed({ code, out, err })))
    child.stdin.end(options?.input ?? "")
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const within = (folder: string): Run => (args, options) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = { env: process.env, folder: process.cwd() }
      let out = ""
      let err = ""
      process.env = environment(folder, options?.env)
      process.chdir(folder)
      const spies = [
        vi.spyOn(console, "log").mockImplementation((...parts) => void (out += `${format(...parts)}\n`)),
        vi.spyOn(console, "error").mockImplementation((...parts) => void (err += `${format(...parts)}\n`)),
        vi.spyOn(process.stderr, "write").mockImplementation((text) => {
          err += String(text)
          return true
        })
      ]
      return {
        output: () => ({ out, err }),
        restore: () => {
          spies.forEach((spy) => spy.mockRestore())
          process.chdir(before.folder)
          process.env = before.env
        }
      }
    }),
    ({ output }) => Effect.map(program(["node", "dblive", ...args]), (code) => ({ code, ...output() })),
    ({ restore }) => Effect.sync(restore)
  )

/** A folder of one's own and the command in it; the environment holds nothing of the test's. */
export const shell: Effect.Effect<Shell, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-cli-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => ({
    folder,
    start: start(folder),
    dblive: within(folder),
    write: (file, text) => {
      const full = path.join(folder, file)
      fs.mkdirSync(path.dirname(full), { recursive: true })
      fs.writeFileSync(full, text)
    }
  })
)
