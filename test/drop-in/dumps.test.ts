/** The migrators of the published packages write a dump of the schema with the database's own tools, told by `config`. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { PgMigrator } from "@effect/sql-pg"
import { SqliteMigrator } from "@effect/sql-sqlite-node"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Db } from "../../src/Db.js"
import type { Options } from "../../src/DbConfig.js"
import * as Pg from "../../src/driver/Pg.js"
import * as Sqlite from "../../src/driver/Sqlite.js"
import { PrivatePostgres } from "../kit/postgres.js"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "dblive-" }))

const loader = PgMigrator.fromRecord({
  "1_note": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE IF NOT EXISTS note (body TEXT)`)
})

/** Where Debian keeps a server beside the `pg_dump` of its version: one of another version refuses to dump. */
const installed = (): string | undefined => {
  const root = "/usr/lib/postgresql"
  const versions = Fs.existsSync(root) ? Fs.readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => Path.join(root, version, "bin")).find((bin) =>
    ["initdb", "postgres", "pg_dump"].every((name) => Fs.existsSync(Path.join(bin, name)))
  )
}

const bin = installed()

const describeDump = (name: string, body: (bin: string) => void): void => {
  if (bin === undefined) {
    describe.skip(`${name} (skipped: no PostgreSQL server with its pg_dump is installed)`, () => {})
  } else describe(name, () => body(bin))
}

const withPath = (bin: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env["PATH"]
      process.env["PATH"] = `${bin}${Path.delimiter}${before}`
      return before
    }),
    (before) => Effect.sync(() => void (process.env["PATH"] = before))
  )

let runs = 0

/** Migrates, by a history of its own, and gives the dump. */
const dumped = (options: Options) =>
  Effect.gen(function*() {
    const directory = `${yield* folder}/dump`
    yield* PgMigrator.run({ loader, schemaDirectory: directory, table: `history_${++runs}` }).pipe(
      Effect.provide(Db.layer({ environment: "production", ...options }).pipe(Pg.withClient))
    )
    return Fs.readFileSync(Path.join(directory, "_schema.sql"), "utf8")
  }).pipe(Effect.provide(NodeContext.layer))

const isWhole = (dump: string) => {
  assert.include(dump, "CREATE TABLE public.note")
  assert.include(dump, `INSERT INTO public.history_${runs}`)
}

describeDump("PgMigrator's dump", (bin) => {
  it.scopedLive(
    "is whole on a server without TLS, by TCP and by its socket, with a password that changes",
    () =>
      Effect.gen(function*() {
        yield* withPath(bin)
        const server = yield* PrivatePostgres.make({ tls: false, bin })
        yield* Effect.forEach(
          ["disable", "prefer"] as const,
          (ssl) => Effect.map(dumped({ url: server.url, ssl }), isWhole)
        )
        isWhole(
          yield* dumped({
            type: "postgresql",
            host: server.socketDirectory!,
            port: server.port,
            database: "postgres",
            username: Effect.succeed(server.user),
            password: Effect.sync(() => Redacted.make(server.password))
          })
        )
      }),
    60_000
  )

  it.scopedLive("is whole on a server that has TLS, and on one that takes nothing else", () =>
    Effect.gen(function*() {
      yield* withPath(bin)
      const server = yield* PrivatePostgres.make({ bin })
      yield* Effect.forEach(["disable", "prefer", "require", "verify-ca", "verify-full"] as const, (ssl) =>
        Effect.map(
          dumped({
            url: server.url.replace("127.0.0.1", "localhost"),
            ssl,
            ...(ssl.startsWith("verify") ? { sslRootCert: server.caCert } : {})
          }),
          isWhole
        ))
      const strict = yield* PrivatePostgres.make({ bin, hba: ["hostnossl all all all reject"] })
      yield* Effect.forEach(["prefer", "require"] as const, (ssl) =>
        Effect.map(dumped({ url: strict.url, ssl }), isWhole))
    }), 60_000)
})

const hasSqlite = (() => {
  try {
    execFileSync("sqlite3", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!hasSqlite)(`SqliteMigrator's dump${hasSqlite ? "" : " (skipped: sqlite3 is not installed)"}`, () => {
  it.scopedLive("is whole", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* SqliteMigrator.run({ loader, schemaDirectory: directory }).pipe(
        Effect.provide(Db.layer({ type: "sqlite", filename: `${directory}/test.db` }).pipe(Sqlite.withClient))
      )
      const dump = Fs.readFileSync(Path.join(directory, "_schema.sql"), "utf8")
      assert.include(dump, "CREATE TABLE note")
      assert.include(dump, "INSERT INTO effect_sql_migrations")
    }).pipe(Effect.provide(NodeContext.layer)))
})
