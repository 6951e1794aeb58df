/** The package on other versions of Node and of better-sqlite3: what is refused before it is loaded, and what does without it. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { command } from "../../src/internal/driver/effectPackages.js"
import * as NodeSqlite from "../../src/internal/driver/sqlite/nodeSqlite.js"
import { packagesFor, unfit } from "../../src/internal/driver/sqlite/version.js"
import { namesOf } from "../kit/packages.js"
import { type Build, buildPackage, Project } from "../kit/project.js"

let build: Build

beforeAll(async () => {
  build = await buildPackage()
}, 240_000)

const running = process.versions.node

/** A version that ends this Node's process, where there is one. */
const deadly = ["12.11.1", "13.2.0"].find((version) => unfit(version, running) !== undefined)

/** A package of that version that says so when it is loaded: to load the real one would end the process. */
const putLibrary = (project: Project, version: string) => {
  const place = path.join(project.directory, "node_modules/better-sqlite3")
  fs.mkdirSync(place, { recursive: true })
  fs.writeFileSync(
    path.join(place, "package.json"),
    JSON.stringify({ name: "better-sqlite3", version, main: "main.js" })
  )
  fs.writeFileSync(path.join(place, "main.js"), "process.stderr.write('it was loaded')\nprocess.exit(7)\n")
}

const opening = (layer: string) => `
  import { Db } from "dblive"
  import * as DbTest from "dblive/test"
  import * as Effect from "effect/Effect"

  const asked = Db.query("SELECT 1 AS n").pipe(Effect.andThen(Db.info), Effect.provide(${layer}), Effect.match({
    onSuccess: (info) => ({ module: info.sqliteModule }),
    onFailure: (error) => ({ ...error, message: error.message })
  }))
  console.log(JSON.stringify(await Effect.runPromise(asked)))
`

const layers = [
  ["in this process", `Db.layer({ type: "sqlite", filename: "a.db" })`],
  ["in a process of its own", `Db.layer({ type: "sqlite", filename: "a.db", workers: 1 })`],
  ["of the tests", "DbTest.sqlite()"],
  ["of the tests, in a file", "DbTest.sqlite({ file: true })"]
] as const

const title = `a better-sqlite3 that ends the process of Node ${running}${deadly === undefined ? " (none does)" : ""}`

describe.skipIf(deadly === undefined)(title, () => {
  for (const [place, layer] of layers) {
    it.scoped(`is refused before it is loaded: a database ${place}`, () =>
      Effect.gen(function*() {
        const project = yield* Project.make(build, ["@effect/platform-node"])
        putLibrary(project, deadly!)
        const { code, stderr, stdout } = yield* project.run(opening(layer), { NODE_ENV: "test" })
        assert.strictEqual(code, 0, stderr)
        assert.notInclude(stderr, "loaded")
        const error = JSON.parse(stdout)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
        assert.include(error.message, `better-sqlite3 ${deadly}`)
        assert.include(error.message, `Node ${running}`)
        assert.include(error.message, `npm install ${packagesFor(running).split(" ")[0]}`)
      }))
  }

  it.scoped("is refused before it is loaded: the command", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, namesOf(command))
      putLibrary(project, deadly!)
      const { code, stderr, stdout } = yield* project.dblive(["info"], {
        NODE_ENV: "development",
        DATABASE_URL: "sqlite:a.db"
      })
      const said = stdout + stderr
      assert.notStrictEqual(code, 0, said)
      assert.notInclude(said, "it was loaded")
      assert.include(said.replace(/\s+/g, " "), `better-sqlite3 ${deadly}`)
      assert.include(said.replace(/\s+/g, " "), `npm install ${packagesFor(running).split(" ")[0]}`)
    }))

  const lacking = NodeSqlite.lacking()

  it.scoped.skipIf(lacking !== undefined)(
    `is passed by where node:sqlite is asked for${lacking ? ` (${lacking})` : ""}`,
    () =>
      Effect.gen(function*() {
        const project = yield* Project.make(build, [])
        putLibrary(project, deadly!)
        const layer = `Db.layer({ type: "sqlite", filename: "a.db", sqliteModule: "node:sqlite" })`
        const { code, stderr, stdout } = yield* project.run(opening(layer), { NODE_ENV: "test" })
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(JSON.parse(stdout), { module: `node:sqlite@${running}` })
      })
  )
})

describe("without better-sqlite3", () => {
  for (const [place, layer] of layers) {
    it.scoped(`node:sqlite is opened, where Node has it: a database ${place}`, () =>
      Effect.gen(function*() {
        const project = yield* Project.make(build, ["@effect/platform-node"])
        const { code, stderr, stdout } = yield* project.run(opening(layer), { NODE_ENV: "test" })
        assert.strictEqual(code, 0, stderr)
        const answer = JSON.parse(stdout)
        if (NodeSqlite.lacking() === undefined) {
          assert.deepStrictEqual(answer, { module: `node:sqlite@${running}` })
        } else {
          assert.deepInclude(answer, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
          assert.include(answer.message, `npm install ${packagesFor(running)}`)
        }
      }))
  }
})

/** A package whose binary is not there, as npm leaves it where it runs no install scripts. */
const putWithoutBinary = (project: Project, version: string) => {
  const place = path.join(project.directory, "node_modules/better-sqlite3")
  fs.mkdirSync(place, { recursive: true })
  fs.writeFileSync(
    path.join(place, "package.json"),
    JSON.stringify({ name: "better-sqlite3", version, main: "main.js" })
  )
  fs.writeFileSync(
    path.join(place, "main.js"),
    "module.exports = class { constructor() { throw new Error('Could not locate the bindings file. Tried:\\n -> /x') } }\n"
  )
}

const fitting = ["12.11.1", "13.2.0"].find((version) => unfit(version, running) === undefined)!

describe("a better-sqlite3 without its binary", () => {
  for (const [place, layer] of layers) {
    it.scoped(`gives way to node:sqlite, which is said once, where Node has it: databases ${place}`, () =>
      Effect.gen(function*() {
        const project = yield* Project.make(build, ["@effect/platform-node"])
        putWithoutBinary(project, fitting)
        const program = opening(layer)
        const { code, stderr, stdout } = yield* project.run(
          // Twice: what is said of the package is said once.
          `${program}\n{${program.slice(program.indexOf("const asked"))}}`,
          { NODE_ENV: "test" }
        )
        assert.strictEqual(code, 0, stderr)
        const lines = stdout.trim().split("\n")
        const answers = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
        assert.lengthOf(answers, 2, stdout)
        const said = lines.filter((line) => line.includes("cannot be loaded"))
        for (const answer of answers) {
          if (NodeSqlite.lacking() === undefined) {
            assert.deepStrictEqual(answer, { module: `node:sqlite@${running}` })
          } else {
            assert.deepInclude(answer, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
            assert.include(answer.message, "the binary of better-sqlite3 is missing")
          }
        }
        assert.lengthOf(said, NodeSqlite.lacking() === undefined ? 1 : 0, stdout)
        for (const line of said) {
          assert.match(line, /\bWARN\b/)
          assert.include(line, `better-sqlite3 ${fitting} is installed and cannot be loaded`)
          assert.include(line, "npm rebuild better-sqlite3")
        }
      }))
  }
})
