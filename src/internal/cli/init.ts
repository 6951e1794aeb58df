/**
 * The command that begins a project.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Prompt from "@effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { end, plural } from "./command.js"
import { installation, managerOf } from "./install.js"
import * as options from "./options.js"
import { Answer, ending, exitCodes, UsageError } from "./report.js"
import { onOutput } from "./style.js"
import { families, type Family, type Template, templates } from "./templates.js"

/** What became of a file. */
interface Written {
  readonly path: string
  readonly state: "written" | "kept" | "planned"
}

const titles: Readonly<Record<Family, string>> = {
  sqlite: "SQLite: a file, nothing to start",
  postgresql: "PostgreSQL",
  mysql: "MySQL or MariaDB",
  mssql: "SQL Server"
}

const asked = (given: { readonly type: Family | undefined; readonly json: boolean }) =>
  given.type !== undefined
    ? Effect.succeed(given.type)
    : given.json || process.stdin.isTTY !== true
    ? Effect.fail(
      new UsageError(
        `this asks for the database, and there is no terminal to answer at: add --type (one of ${families.join(", ")})`
      )
    )
    : Effect.catchAll(
      Prompt.select({
        message: "Which database?",
        choices: families.map((value) => ({ title: titles[value], value }))
      }),
      () => Effect.fail(new Answer(exitCodes.failed, "nothing was written"))
    )

/** Writes a file where there is none of its name: what is there is the user's. */
const write = ({ path, text }: Template, isDry: boolean): Effect.Effect<Written, Answer> =>
  Effect.try({
    try: (): Written => {
      if (isDry) {
        return { path, state: Fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined ? "kept" : "planned" }
      }
      Fs.mkdirSync(Path.dirname(path), { recursive: true })
      try {
        Fs.writeFileSync(path, text, { flag: "wx" })
        return { path, state: "written" }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") {
          return { path, state: "kept" }
        }
        throw error
      }
    },
    catch: (error) =>
      new Answer(
        exitCodes.failed,
        `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? "unknown reason"})\n` +
          "next: make its folder writable, and run again: what was written before stays, and is not written again"
      )
  })

/** What makes the modules of this folder ES modules, as dblive's own are, where they are none. */
const moduleSteps = (): ReadonlyArray<string> => {
  const step = "npm pkg set type=module"
  if (!Fs.existsSync("package.json")) {
    return ["npm init --yes", step]
  }
  try {
    const manifest: unknown = JSON.parse(Fs.readFileSync("package.json", "utf8"))
    const isModule = typeof manifest === "object" && manifest !== null && "type" in manifest &&
      manifest.type === "module"
    return isModule ? [] : [step]
  } catch {
    return [step]
  }
}

const stepsOf = (install: ReadonlyArray<string>, files: ReadonlyArray<Written>): ReadonlyArray<string> => [
  ...moduleSteps(),
  ...install,
  ...(files.some(({ path, state }) => path === ".env.example" && state !== "kept") ? ["cp .env.example .env"] : []),
  "npx dblive doctor",
  "npx dblive migrate",
  "npx vitest run"
]

const lines: Readonly<Record<Written["state"], string>> = {
  written: "wrote        ",
  planned: "would write  ",
  kept: "left as it is"
}

/** `dblive init` */
export const init = Command.make(
  "init",
  {
    type: options.optional(
      Options.choice("type", families).pipe(
        Options.withAlias("t"),
        Options.withDescription("The database's family. Asked for where there is a terminal")
      )
    ),
    dryRun: Options.boolean("dry-run").pipe(Options.withDescription("Write nothing; say what would be written")),
    json: options.json
  },
  (given) =>
    Effect.gen(function*() {
      const family = yield* asked(given)
      const files = yield* Effect.forEach(templates(family), (template) => write(template, given.dryRun))
      const manager = managerOf(Fs.readdirSync("."), process.env["npm_config_user_agent"])
      return { type: family, packageManager: manager, files, next: stepsOf(installation(".", family, manager), files) }
    }).pipe(
      (work) =>
        ending(work, {
          json: given.json,
          toJson: (result) => result,
          show: ({ files, next }) =>
            [
              ...files.map(({ path, state }) =>
                `${onOutput(state === "kept" ? "warning" : "good", lines[state])} ${path}`
              ),
              ...(files.some(({ state }) => state === "kept")
                ? [`${
                  plural(files.filter(({ state }) => state === "kept").length, "file")
                } of these names were there, and left`]
                : []),
              "",
              onOutput("heading", "next:"),
              ...next.map((step) =>
                `  ${step}`
              )
            ].join("\n")
        }),
      end
    )
).pipe(Command.withDescription(
  "Write what a project begins with: .env.example, a first migration, src/db.ts and a test that runs; and tell what to install for this Node and package manager. A file that is there stays as it is. Needs no database."
))
