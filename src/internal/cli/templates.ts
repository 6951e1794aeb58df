/**
 * The files that `dblive init` writes, as data.
 */
import { variableOf } from "../config/faults.js"
import type { Row } from "../config/row.js"
import { settings } from "../config/settings.js"
import { nodeServices } from "../driver/effectPackages.js"

/** The families of databases that a project can begin with. */
export const families = ["sqlite", "postgresql", "mysql", "mssql"] as const

export type Family = typeof families[number]

/** A file of the new project. */
export interface Template {
  readonly path: string
  readonly text: string
}

const urls: Readonly<Record<Family, string>> = {
  sqlite: "sqlite:///app.db",
  postgresql: "postgresql://app@localhost:5432/app",
  mysql: "mysql://app@localhost:3306/app",
  mssql: "mssql://app@localhost:1433/app"
}

const name = (row: Row<unknown>): string => variableOf("default", row)

/** A setting that is not in force yet, with what it means. */
const proposed = (row: Row<unknown>): string => `# ${row.meaning.replaceAll("`", "")}\n# ${name(row)}=${row.example}`

const environment = (family: Family): string =>
  [
    "# Copy this file to .env, which stays out of version control. Every setting: docs/settings.md of dblive.",
    "",
    `${name(settings.url)}=${urls[family]}`,
    ...(family === "sqlite" ? [] : [`${name(settings.password)}=`]),
    "",
    proposed(settings.pool.size),
    proposed(settings.limits.statementTimeout),
    ""
  ].join("\n")

/** The same on every database. */
const migration =
  `-- Runs once, in the order of versions: \`npx dblive migrate\`. Do not edit it once it has been applied anywhere;
-- \`npx dblive new "Add author"\` writes the next one.
CREATE TABLE note (
  id VARCHAR(36) NOT NULL PRIMARY KEY,
  body VARCHAR(200) NOT NULL
);
`

const database = `import { ${nodeServices} } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { Db, DbConfig, DbLive, DbMigrator } from "dblive"

/** What makes the tables, of the program's database and of those of tests. */
export const migrations = DbMigrator.fromDirectory("migrations/default")

/** The program's database: configured by ${name(settings.url)} (also in .env), and at the newest version. */
export const AppDb = DbMigrator.layer(Db, { migrations }).pipe(
  Layer.provideMerge(DbLive),
  Layer.provide([${nodeServices}.layer, DbConfig.dotenv(".")])
)

export interface Note {
  readonly id: string
  readonly body: string
}

export const addNote = (body: string) =>
  Effect.gen(function*() {
    const id = randomUUID()
    yield* Db.query("INSERT INTO note (id, body) VALUES (:id, :body)", { id, body })
    return id
  })

export const notes = Db.query<Note>("SELECT id, body FROM note ORDER BY body")
`

/** The layer of a first test, and what it needs. */
const testLayers = {
  others: {
    layer: "fromEnv",
    comment: "A private database for each test, made by the migrations: SQLite, or on the server of TEST_DATABASE_URL."
  },
  postgresql: {
    layer: "postgres",
    comment:
      "A private PostgreSQL database for each test, made by the migrations, on a server that the first test starts."
  }
} as const

const test = (family: Family): string => {
  const { comment, layer } = family === "postgresql" ? testLayers.postgresql : testLayers.others
  return `import { ${nodeServices} } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DbTest from "dblive/test"
import { addNote, migrations, notes } from "../src/db.js"

/** ${comment} */
const database = DbTest.${layer}({ migrations }).pipe(Layer.provide(${nodeServices}.layer))

it.effect("finds a note that was added", () =>
  Effect.gen(function*() {
    const id = yield* addNote("hello")
    expect(yield* notes).toEqual([{ id, body: "hello" }])
  }).pipe(Effect.provide(database)))
`
}

/** The files of a project whose database is one of a family. */
export const templates = (family: Family): ReadonlyArray<Template> => [
  { path: ".env.example", text: environment(family) },
  { path: "migrations/default/V001__init.sql", text: migration },
  { path: "src/db.ts", text: database },
  { path: "test/db.test.ts", text: test(family) }
]
