/**
 * `docs/first-hour.md` is done as it says, from its first line to its last, in a folder with the package as its users have it:
 *
 * - A block after a line that ends with a path and a colon is written to that file.
 * - `npm install` lines stand in README.md, whose packages `install.test.ts` installs. Here the packages they name are linked,
 *   and no others.
 * - Other commands of `sh` and `console` blocks are run: `npx NAME` by the package's program, `cp` and `curl` by this test.
 * - A command that does not end is a service. A `console` block without a command shows what it writes after SIGTERM.
 * - The lines below a command occur in its output, in their order. `[exit code N]` is its code, 0 where none is shown.
 *   Durations, times, versions, ids, fibers and ports may be others (`masked`).
 */
import { assert, beforeAll, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { namesOf } from "../kit/packages.js"
import { describePostgres, sharedPostgres } from "../kit/postgres.js"
import { type Build, buildPackage, Project, requiredPeers } from "../kit/project.js"

const read = (file: string): string =>
  fs.readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), "utf8").replaceAll("\r\n", "\n")

const page = read("docs/first-hour.md")

// -- what the page says ---------------------------------------------------------------------------

interface Command {
  readonly words: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly line: string
}

type Step =
  | { readonly kind: "file"; readonly file: string; readonly text: string }
  | { readonly kind: "run"; readonly command: Command; readonly shown: ReadonlyArray<string> }
  | { readonly kind: "stop"; readonly shown: ReadonlyArray<string> }

/** A line of a shell: words, of which some are quoted, and `#` before a comment. */
const commandOf = (line: string): Command => {
  const words = [...line.replace(/\s+# .*$/, "").matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)]
    .map(([, single, double, bare]) => single ?? double ?? bare ?? "")
  const first = words.findIndex((word) => !/^[A-Z_]+=/.test(word))
  const env = Object.fromEntries(words.slice(0, first).map((word) => word.split(/=(.*)/s).slice(0, 2)))
  return { words: words.slice(first), env, line }
}

const runsOf = (text: string): ReadonlyArray<Step> => {
  const [before = "", ...runs] = `\n${text}`.split("\n$ ")
  const lines = (shown: string) => shown.split("\n").filter((line) => line.trim() !== "")
  const stop: ReadonlyArray<Step> = before.trim() === "" ? [] : [{ kind: "stop", shown: lines(before) }]
  return [
    ...stop,
    ...runs.map((run): Step => {
      const [line = "", ...shown] = run.split("\n")
      return { kind: "run", command: commandOf(line), shown: lines(shown.join("\n")) }
    })
  ]
}

const steps: ReadonlyArray<Step> = [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].flatMap(
  ({ 1: language, 2: text = "", index }): ReadonlyArray<Step> => {
    const [, file] = /`([^`\n]+)`:$/.exec(page.slice(0, index).trimEnd()) ?? []
    if (file !== undefined) return [{ kind: "file", file, text }]
    if (language === "console") return runsOf(text)
    assert.strictEqual(language, "sh", `a block of ${language} that is not written to a file: ${text}`)
    return text.trim().split("\n").map((line) => ({ kind: "run", command: commandOf(line), shown: [] }))
  }
)

const isInstall = ({ words }: Command): boolean => words[0] === "npm" && words[1] === "install"

/** The packages that the page installs, without dblive and what it requires. */
const installed = steps.flatMap((step) =>
  step.kind === "run" && isInstall(step.command)
    ? namesOf(step.command.words.slice(2).filter((word) => !word.startsWith("--")))
    : []
)

// -- what is seen ---------------------------------------------------------------------------------

const masks: ReadonlyArray<readonly [pattern: RegExp, mask: string]> = [
  [/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/g, "ID"],
  [/\b\d\d:\d\d:\d\d(?:\.\d+)?/g, "TIME"],
  [/\b\d+(?:\.\d+)? ?m?s\b/g, "DURATION"],
  [/\b\d+\.\d+\.\d+\b(?!\.)/g, "VERSION"],
  [/(?<=\/\/[^\s/]+):\d+\b/g, ":PORT"],
  [/#\d+/g, "#FIBER"]
]

const masked = (line: string): string =>
  masks.reduce((text, [pattern, mask]) => text.replace(pattern, mask), line).trim()

/** Compares what the page shows with what was seen. */
const compare = (what: string, shown: ReadonlyArray<string>, output: string, code: number | null): void => {
  const seen = output.split("\n").map(masked)
  const all = `${what}\n${output}[exit code ${code}]`
  assert.strictEqual(code, Number(/^\[exit code (\d+)\]$/.exec(shown.at(-1) ?? "")?.[1] ?? "0"), all)
  let from = 0
  for (const line of shown.filter((line) => !line.startsWith("[exit code "))) {
    const at = seen.indexOf(masked(line), from)
    assert.isAtLeast(at, 0, `not seen: ${line}\nin the output of ${all}`)
    from = at + 1
  }
}

// -- the folder -----------------------------------------------------------------------------------

interface Running {
  readonly child: ChildProcess
  readonly output: () => string
  /** Its exit code. */
  readonly ended: Promise<number | null>
  /** When its output has this line. */
  readonly writes: (line: string) => Promise<void>
}

/** The file that `npx NAME` runs. */
const programOf = (directory: string, name: string): string => {
  const folder = path.join(directory, "node_modules", name === "tsc" ? "typescript" : name)
  const { bin }: { readonly bin: string | Readonly<Record<string, string>> } = JSON.parse(
    fs.readFileSync(path.join(folder, "package.json"), "utf8")
  )
  return path.join(folder, typeof bin === "string" ? bin : bin[name]!)
}

const startIn = (directory: string, { env, line, words }: Command): Running => {
  const [npx, name = "", ...args] = words
  assert.strictEqual(npx, "npx", `an unknown command: ${line}`)
  const child = spawn(process.execPath, [programOf(directory, name), ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, NO_COLOR: "1", PORT: "0", ...env }
  })
  let output = ""
  const waiting = new Set<() => void>()
  const add = (chunk: string) => {
    output += chunk
    for (const look of waiting) look()
  }
  child.stdout.setEncoding("utf8").on("data", add)
  child.stderr.setEncoding("utf8").on("data", add)
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
  return {
    child,
    ended,
    output: () => output,
    writes: (line) =>
      new Promise((resolve, reject) => {
        const look = () => output.split("\n").some((seen) => masked(seen) === masked(line)) && resolve()
        waiting.add(look)
        look()
        void ended.then((code) => reject(new Error(`ended with ${code}, without "${line}":\n${output}`)))
      })
  }
}

/** `curl` as far as the page uses it. */
const curl = async (words: ReadonlyArray<string>, port: number): Promise<string> => {
  const option = (name: string) => words.includes(name) ? words[words.indexOf(name) + 1] : undefined
  const body = option("-d")
  const url = `http://${words.at(-1)}`.replace("localhost:3000", `127.0.0.1:${port}`)
  const headers = { "content-type": "application/x-www-form-urlencoded" }
  const answer = await fetch(url, body === undefined ? {} : { method: "POST", headers, body })
  const text = await answer.text()
  return text + (option("-w") ?? "").replace("%{http_code}", String(answer.status)).replace("\\n", "\n")
}

class Reader {
  private service: Running | undefined
  private readonly started: Array<Running> = []

  constructor(private readonly directory: string, private readonly postgresUrl: string) {}

  async follow(step: Step): Promise<void> {
    if (step.kind === "file") {
      const file = path.join(this.directory, step.file)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, step.text)
    } else if (step.kind === "stop") {
      assert.isDefined(this.service, "the page stops a service that it has not started")
      const before = this.service.output().length
      this.service.child.kill("SIGTERM")
      const code = await this.service.ended
      compare("the service after SIGTERM", step.shown, this.service.output().slice(before), code)
      this.service = undefined
    } else {
      await this.run(step.command, step.shown)
    }
  }

  private async run(command: Command, shown: ReadonlyArray<string>): Promise<void> {
    const { env, line, words } = command
    if (isInstall(command)) {
      assert.include(read("README.md").split("\n"), line)
    } else if (words[0] === "cp") {
      fs.copyFileSync(path.join(this.directory, words[1]!), path.join(this.directory, words[2]!))
    } else if (words[0] === "curl") {
      const [, port] = /Listening on \S+:(\d+)/.exec(this.service?.output() ?? "") ?? []
      compare(line, shown, await curl(words, Number(port)), 0)
    } else {
      const there = "TEST_DATABASE_URL" in env ? { TEST_DATABASE_URL: this.postgresUrl } : {}
      const running = startIn(this.directory, { ...command, env: { ...env, ...there } })
      this.started.push(running)
      if (words[1] === "tsx") {
        this.service = running
        for (const line of shown) await running.writes(line)
      } else {
        const code = await running.ended
        compare(line, shown, running.output(), code)
      }
    }
  }

  /** Ends what a failed step has left. Not by SIGKILL: `tsx` and `vitest` would not pass it to the processes they start. */
  async close(): Promise<void> {
    for (const { child } of this.started) child.kill("SIGTERM")
    await Promise.all(this.started.map(({ ended }) => ended))
  }
}

describePostgres("docs/first-hour.md", () => {
  let build: Build
  beforeAll(async () => {
    build = await buildPackage()
  }, 240_000)

  it.scopedLive("is done as it says", () =>
    Effect.gen(function*() {
      const packages = installed.filter((name) => name !== "dblive" && !requiredPeers.includes(name))
      const { directory } = yield* Project.make(build, packages)
      const reader = yield* Effect.acquireRelease(
        Effect.sync(() => new Reader(directory, sharedPostgres().url)),
        (reader) => Effect.promise(() => reader.close())
      )
      for (const step of steps) yield* Effect.promise(() => reader.follow(step))
      // The page does what it promises.
      assert.isAbove(steps.filter(({ kind }) => kind === "file").length, 6)
      assert.strictEqual(steps.filter(({ kind }) => kind === "stop").length, 1)
    }), 180_000)
})
