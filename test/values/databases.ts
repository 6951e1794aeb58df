/** The databases that values and statements are tried on. */
import type { SqlClient } from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe } from "vitest"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { describeMssql, freshMssqlDatabase } from "../kit/mssql.js"
import { describeMysql, freshMysqlDatabase } from "../kit/mysql.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

export interface Subject {
  readonly name: "sqlite" | "sqlite, in processes" | "postgresql" | "mysql" | "mssql"
  readonly describe: (name: string, body: () => void) => void
  /** An empty database of one's own, which ends with the scope. */
  readonly fresh: Effect.Effect<DbConfig.Options, never, Scope.Scope>
  readonly integer: string
  readonly text: string
  readonly mostParameters: number
  readonly placeholder: (at: number) => string
}

const temporary = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const fs = await import("node:fs/promises")
      const os = await import("node:os")
      const path = await import("node:path")
      return fs.mkdtemp(path.join(os.tmpdir(), "dblive-values-"))
    }),
    (folder) =>
      Effect.promise(async () => (await import("node:fs/promises")).rm(folder, { recursive: true, force: true }))
  ),
  (folder) => `sqlite:${folder}/values.db`
)

const mark = () => "?"

export const subjects: ReadonlyArray<Subject> = [
  {
    name: "sqlite",
    describe: (name, body) => void describe(name, body),
    fresh: Effect.succeed({ url: "sqlite://:memory:" }),
    integer: "INTEGER",
    text: "TEXT",
    mostParameters: 32_766,
    placeholder: mark
  },
  {
    name: "sqlite, in processes",
    describe: (name, body) => void describe(name, body),
    fresh: Effect.map(temporary, (url) => ({ url, workers: 1 })),
    integer: "INTEGER",
    text: "TEXT",
    mostParameters: 32_766,
    placeholder: mark
  },
  {
    name: "postgresql",
    describe: describePostgres,
    fresh: Effect.map(freshDatabase, ({ url }) => ({ url })),
    integer: "bigint",
    text: "text",
    mostParameters: 65_535,
    placeholder: (at) => `$${at}`
  },
  {
    name: "mysql",
    describe: describeMysql,
    fresh: Effect.map(freshMysqlDatabase, ({ url }) => ({ url })),
    integer: "BIGINT",
    text: "VARCHAR(100)",
    mostParameters: 65_535,
    placeholder: mark
  },
  {
    name: "mssql",
    describe: describeMssql,
    fresh: Effect.map(freshMssqlDatabase, ({ caCert, url }) => ({
      url,
      ...(caCert === undefined ? { ssl: "require" as const } : { sslRootCert: caCert })
    })),
    integer: "BIGINT",
    text: "NVARCHAR(100)",
    mostParameters: 2_098,
    placeholder: (at) => `@${at}`
  }
]

/** Runs a test on a fresh database of this kind. */
export const test = (
  subject: Subject,
  name: string,
  body: Effect.Effect<unknown, unknown, Db | SqlClient | Scope.Scope>,
  options: DbConfig.Options = {}
): void => {
  it.scopedLive(
    name,
    () =>
      Effect.flatMap(
        subject.fresh,
        (fresh) => Effect.provide(body, Db.layer({ environment: "production", ...fresh, ...options }))
      ),
    60_000
  )
}
