/** The archive by `npm install` in an empty project, as the README says it: once for each of two families. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { code } from "../../scripts/blocks.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { type Build, buildPackage, Project } from "../kit/project.js"

let build: Build

beforeAll(async () => {
  build = await buildPackage()
}, 240_000)

const readme = fs.readFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8")

/** The packages of the README's commands whose comment says what they are for; the first has none, and is for all. */
const told = (...what: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...readme.matchAll(/^npm install (.*?)(?: +# (.*))?$/gm)]
    .filter(([, , comment = ""]) => comment === "" || what.some((word) => comment.includes(word)))
    .flatMap(([, words]) => words!.split(" ").map((word) => word.replace(/(?!^)@.*/, "")))
    .filter((name, i, all) => name !== "dblive" && all.indexOf(name) === i)

const first = ts.transpileModule(code("examples/first.ts"), {
  compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true }
}).outputText

/** Installs, runs the first program and type-checks one that names the driver's entry point. Gives npm's words where it could not. */
const works = (
  family: {
    readonly packages: ReadonlyArray<string>
    readonly absent: ReadonlyArray<string>
    readonly entry: string
    readonly module: "nodenext" | "bundler"
  },
  env: Readonly<Record<string, string>>
) =>
  Effect.gen(function*() {
    assert.isAbove(family.packages.length, 5)
    const project = yield* Project.install(build, family.packages)
    if (typeof project === "string") return project

    // npm's own judgement: no peer is missing or of a wrong version, and there is one Effect.
    const tree = yield* project.npm("ls", "--all")
    assert.strictEqual(tree.code, 0, tree.stdout + tree.stderr)
    const copies = yield* project.npm("ls", "effect", "--all", "--parseable")
    assert.lengthOf(copies.stdout.trim().split("\n"), 1, copies.stdout)
    for (const name of family.absent) {
      assert.isFalse(fs.existsSync(path.join(project.directory, "node_modules", name)), name)
    }

    const ran = yield* project.run(first, { NODE_ENV: "development", ...env })
    assert.strictEqual(ran.code, 0, ran.stderr)
    assert.include(ran.stdout, "[ { body: 'hello' } ]")

    const binary = path.join(project.directory, "node_modules/better-sqlite3/build")
    if (fs.existsSync(binary)) {
      // What npm leaves behind where it may not run install scripts.
      fs.rmSync(binary, { recursive: true })
      const failed = yield* project.run(first, { NODE_ENV: "development" })
      assert.strictEqual(failed.code, 1)
      assert.include(failed.stdout, "the binary of better-sqlite3 is missing, or made for another version of Node")
    }

    const typed = `
      import { Db, DbLive } from "dblive"
      import { withClient } from "${family.entry}"
      import { Effect } from "effect"
      export const main: Effect.Effect<unknown, unknown> = Db.query("SELECT 1").pipe(Effect.provide(withClient(DbLive)))
      // @ts-expect-error: without the layer, the database is still required
      export const open: Effect.Effect<unknown, unknown> = Db.query("SELECT 1")
    `
    const { module } = family
    assert.deepInclude(yield* project.check(typed, { module }), { code: 0, stdout: "" }, module)
    return undefined
  }).pipe(Effect.scoped)

describe("npm install", () => {
  it("for SQLite alone: the first program runs, its types are found, nothing else is there", async (context) => {
    const refusal = await Effect.runPromise(works({
      packages: told("on Node", "for SQLite"),
      absent: ["pg", "mysql2", "tedious", "@effect/sql-pg"],
      entry: "dblive/sqlite",
      module: "nodenext"
    }, {}))
    if (refusal !== undefined) context.skip(`no registry: ${refusal}`)
  }, 120_000)

  describePostgres("on a server", () => {
    it("for PostgreSQL alone: the first program runs, its types are found, nothing else is there", async (context) => {
      const refusal = await Effect.runPromise(Effect.scoped(Effect.flatMap(freshDatabase, ({ url }) =>
        works({
          packages: told("on Node", "for PostgreSQL"),
          absent: ["better-sqlite3", "mysql2", "tedious", "@effect/sql-sqlite-node"],
          entry: "dblive/pg",
          module: "bundler"
        }, { DATABASE_URL: url }))))
      if (refusal !== undefined) context.skip(`no registry: ${refusal}`)
    }, 120_000)
  })
})
