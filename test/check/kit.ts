/** Projects for checks: a folder with statements, and a database made by statements. */
import { Effect, Layer, Logger, LogLevel } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import { askedOf } from "../../src/internal/check/ask.js"
import { check, type CheckReport, lineOf } from "../../src/internal/check/check.js"
import { defaultTag } from "../../src/internal/check/generate.js"

/** Files of a project, by their paths. */
export interface Files {
  readonly [file: string]: string
}

/** A folder with these files, removed by the scope. */
export const project = (files: Files) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const root = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-check-"))
      for (const [file, text] of Object.entries(files)) {
        fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
        fs.writeFileSync(path.join(root, file), text)
      }
      return root
    }),
    (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
  )

/** Checks the project in a folder against the database of the context. */
export const checkIn = (root: string): Effect.Effect<CheckReport, unknown, Db> =>
  Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(Db, askedOf),
      (asked) => check(asked, { root, queries: "queries", sources: "src", out: "queries.ts", tag: defaultTag })
    )
  )

/** The report of a project with these files. */
export const report = (files: Files): Effect.Effect<CheckReport, unknown, Db> =>
  Effect.scoped(Effect.flatMap(project(files), checkIn))

/** The problems of a project, as lines. */
export const problems = (files: Files) => Effect.map(report(files), ({ problems }) => problems.map(lineOf))

/** The fields of the generated interfaces: `FindUserRow.id` by their types. */
export const fields = (files: Files) =>
  Effect.map(report(files), ({ output, problems }) => {
    if (output === undefined) throw new Error(problems.map(lineOf).join("\n"))
    const found: Record<string, string> = {}
    for (const [, name, body] of output.text.matchAll(/export interface (\w+) \{\n((?:  .*\n)*)\}/g)) {
      for (const [, key, type] of body!.matchAll(/^  readonly (\w+|"(?:[^"\\]|\\.)*"): (.*)$/gm)) {
        found[`${name}.${key}`] = type!
      }
    }
    return found
  })

/** The types of one statement's row. */
export const rowOf = (text: string) => namedOf(text, "ARow.")

/** The types of one statement's parameters. */
export const paramsOf = (text: string) => namedOf(text, "AParams.")

const namedOf = (text: string, prefix: string) =>
  Effect.map(fields({ "queries/a.sql": text }), (found) =>
    Object.fromEntries(
      Object.entries(found).filter(([name]) => name.startsWith(prefix)).map(([name, type]) => [
        name.slice(prefix.length),
        type
      ])
    ))

/** Quiet: what migrations and layers say is of no use here. */
export const quiet = Layer.merge(Logger.minimumLogLevel(LogLevel.Warning), Layer.empty)
