/** Every example runs, and prints what it promises: bundled, and one of them also as its source, as `npm run` starts it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { builders, buildersOnPostgres } from "./kit/builders.js"
import { bundleAll } from "./kit/bundle.js"
import { describeMssql, freshMssqlDatabase, type MssqlDatabase } from "./kit/mssql.js"
import { describeMysql, freshMysqlDatabase } from "./kit/mysql.js"
import { packageFolder } from "./kit/packages.js"
import { describePostgres, freshDatabase } from "./kit/postgres.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const names = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts")).map((name) =>
  name.slice(0, -3)
)
const bundled = bundleAll(names.map((name) => new URL(`../examples/${name}.ts`, import.meta.url)))

/** A folder for one test. */
const withFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "dblive-example-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/** Runs a program in a folder, with nothing of this test's environment but the variables given. */
const runIn = (folder: string, program: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.async<{ readonly code: number; readonly output: string }>((resume) => {
    execFile(
      process.execPath,
      program,
      {
        cwd: folder,
        env: { PATH: process.env["PATH"], HOME: folder, NODE_ENV: "development", ...env },
        timeout: 60_000
      },
      (error, stdout, stderr) => resume(Effect.succeed({ code: error === null ? 0 : 1, output: stdout + stderr }))
    )
  })

/** The same in a folder of its own. */
const run = (program: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  withFolder((folder) => runIn(folder, program, env))

const programPrints = (
  program: ReadonlyArray<string>,
  lines: ReadonlyArray<string | RegExp>,
  env?: Record<string, string>
) =>
  Effect.gen(function*() {
    const { code, output } = yield* run(program, env)
    for (const line of lines) {
      assert.match(output, typeof line === "string" ? new RegExp(line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")) : line)
    }
    assert.strictEqual(code, 0, output)
  })

const prints = (name: string, lines: ReadonlyArray<string | RegExp>, env?: Record<string, string>) =>
  programPrints([bundled[names.indexOf(name)]!], lines, env)

describe("examples", () => {
  const embedded: Record<string, ReadonlyArray<string | RegExp>> = {
    quickstart: [
      "committed: hello, world",
      "rolled back (\"changed my mind\"): 0 rows",
      "2 transactions committed, 1 rolled back"
    ],
    repository: ["default: Ada, Grace, Barbara", "archive: Ada"],
    errors: ["caught: EmailTaken: ada@example.org is taken", "QueryError UndefinedObject", "worth a retry: false"],
    migrations: [
      "applied V1__Add_words, V2__Count_words: version 2",
      "\"it works\" has 2 words",
      "a second run applies 0",
      "MigrationError Checksum: V1__Add_words: the migration was edited"
    ],
    replicas: [
      "behind a statement: 2",
      "with a token: 3",
      "a write in a read: ReadOnly",
      "no replicas are configured"
    ],
    retry: ["3 attempts, applied once: ada 70, bob 30", "UniqueViolation: not retried (outcome RolledBack)"],
    timeouts: [
      "a statement: Statement limit of 500 ms",
      "rows left of it: 0",
      "interrupted: true, 0 connections in use"
    ],
    telemetry: [
      "span db.transaction committed",
      "span sql.execute INSERT INTO note VALUES (?)",
      "db.client.operation.duration",
      "dblive_transactions_total{db_client_connection_pool_name=\"default\",outcome=\"committed\"} 1",
      /database "default" is healthy/
    ],
    config: ["a write: ReadOnly", "DATABASE_POOL_SIZE"],
    "named-databases": ["copied to the default database: age=42, pets=3", "is \"north\" meant?"],
    rows: [
      "signed up: 1, 2",
      "deactivated: true, false",
      "of a list: 2, of an empty one: 0",
      "no account 7",
      "row 1, column \"active\": expected DbSchema.Boolean, got a number, in the answer to SELECT id"
    ],
    first: ["[ { body: 'hello' } ]"],
    sessions: ["2 written", "1 one, 2 two", "0 connections in use"],
    ...builders
  }
  /** Those that need a server, or whose process is looked at elsewhere. */
  const others = [
    ...["postgres", "drop-in", "mysql", "mssql", "two-families", "http-server"],
    ...Object.keys(buildersOnPostgres).filter((name) => !Object.hasOwn(builders, name))
  ]

  it("are all run here", () => {
    assert.deepStrictEqual(names.toSorted(), [...Object.keys(embedded), ...others].sort())
  })

  for (const [name, lines] of Object.entries(embedded)) {
    it.live(name, () => prints(name, lines), 90_000)
  }

  it.live.each([["their names", false], ["their names, backwards", true]] as const)(
    "run one after the other in one folder, in the order of %s",
    ([, backwards]) =>
      withFolder((folder) => {
        const order = Object.keys(embedded).toSorted()
        return Effect.forEach(
          backwards ? order.reverse() : order,
          (name) =>
            Effect.map(
              runIn(folder, [bundled[names.indexOf(name)]!]),
              ({ code, output }) => assert.strictEqual(code, 0, `${name}: ${output}`)
            ),
          { discard: true }
        )
      }),
    180_000
  )

  it.live("quickstart, from its source", () =>
    programPrints(
      ["--import", join(packageFolder("tsx"), "dist/esm/index.mjs"), join(root, "examples/quickstart.ts")],
      embedded["quickstart"]!
    ), 90_000)

  describePostgres("on PostgreSQL", () => {
    it.scopedLive(
      "quickstart: the same program",
      () =>
        Effect.flatMap(
          freshDatabase,
          ({ url }) => prints("quickstart", ["committed: hello, world", "postgresql://"], { DATABASE_URL: url })
        ),
      90_000
    )
    for (const [name, lines] of Object.entries(buildersOnPostgres)) {
      it.scopedLive(
        name,
        () => Effect.flatMap(freshDatabase, ({ url }) => prints(name, lines, { DATABASE_URL: url })),
        90_000
      )
    }
    it.scopedLive(
      "drop-in",
      () =>
        Effect.flatMap(freshDatabase, ({ url }) => prints("drop-in", ["login over PostgreSQL"], { DATABASE_URL: url })),
      90_000
    )
    it.scopedLive(
      "postgres",
      () =>
        Effect.flatMap(
          freshDatabase,
          ({ url }) =>
            prints("postgres", ["written and read: {\"kind\":\"login\",\"user\":\"ada\"}", "heard: ready?"], {
              DATABASE_URL: url
            })
        ),
      90_000
    )
  })

  const written = "written and read: {\"kind\":\"login\",\"price\":\"12.50\"}"
  /** The stand-in's certificate is of its own making. */
  const trusting = ({ url }: MssqlDatabase) => `${url}?trustServerCertificate=true`

  describeMysql("on MySQL", () => {
    it.scopedLive(
      "mysql",
      () =>
        Effect.flatMap(
          freshMysqlDatabase,
          ({ url }) => prints("mysql", [written, "refused: UniqueViolation, kind"], { DATABASE_URL: url })
        ),
      90_000
    )
  })

  describeMssql("on SQL Server", () => {
    it.scopedLive(
      "mssql",
      () =>
        Effect.flatMap(
          freshMssqlDatabase,
          (database) =>
            prints("mssql", [written, "refused: UniqueViolation, one_of_a_kind"], {
              DATABASE_URL: trusting(database)
            })
        ),
      90_000
    )

    describePostgres("and PostgreSQL", () => {
      it.scopedLive("two-families", () =>
        Effect.gen(function*() {
          const legacy = yield* freshMssqlDatabase
          const { url } = yield* freshDatabase
          yield* prints("two-families", ["copied 250 orders of 31250.00 from mssql to postgresql"], {
            LEGACY_DATABASE_URL: trusting(legacy),
            DATABASE_URL: url
          })
        }), 90_000)
    })
  })

  it.live(
    "say what they need where that is missing",
    () =>
      Effect.forEach(["mysql", "mssql", "two-families"], (name) => prints(name, ["This example needs"]), {
        concurrency: "unbounded"
      }),
    90_000
  )
})
