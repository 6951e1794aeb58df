/**
 * A fresh database of each kind, and a folder for migrations, for the tests of migrations.
 */
import { NodeContext } from "@effect/platform-node"
import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMysql, freshMysqlDatabase } from "../kit/mysql.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

export type Kind = "sqlite" | "pg" | "mysql"

export interface Fixture {
  readonly kind: Kind
  readonly url: string
  readonly folder: string
  readonly layer: Layer.Layer<Db>
  /** Writes migrations; `undefined` removes one. */
  readonly write: (files: Readonly<Record<string, string | Uint8Array | undefined>>) => void
  readonly source: ReturnType<typeof DbMigrator.fromDirectory>
}

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-migrations-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

export const fixture = (kind: Kind): Effect.Effect<Fixture, never, Scope.Scope> =>
  Effect.gen(function*() {
    const root = yield* temporaryFolder
    const folder = path.join(root, "migrations")
    fs.mkdirSync(folder)
    const url = kind === "pg"
      ? (yield* freshDatabase).url
      : kind === "mysql"
      ? (yield* freshMysqlDatabase).url
      : `sqlite:///${path.join(root, "test.db")}`
    return {
      kind,
      url,
      folder,
      layer: Layer.orDie(Db.layer({ url, environment: "test" })),
      write: (files) => {
        for (const [name, content] of Object.entries(files)) {
          const file = path.join(folder, name)
          if (content === undefined) {
            fs.rmSync(file)
          } else {
            fs.mkdirSync(path.dirname(file), { recursive: true })
            fs.writeFileSync(file, content)
          }
        }
      },
      source: DbMigrator.fromDirectory(folder)
    }
  })

/** The same tests over both databases. */
export const describeBoth = (name: string, body: (kind: "sqlite" | "pg") => void): void => {
  describe(`${name} (SQLite)`, () => body("sqlite"))
  describePostgres(`${name} (PostgreSQL)`, () => body("pg"))
}

/** The same tests over all of them. */
export const describeAll = (name: string, body: (kind: Kind) => void): void => {
  describeBoth(name, body)
  describeMysql(`${name} (MySQL)`, () => body("mysql"))
}

/** Runs a body with a fixture's database open. */
export const withOpen = <A, E>(
  { layer }: Fixture,
  body: Effect.Effect<A, E, Db | NodeContext.NodeContext | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.provide(body, Layer.merge(layer, NodeContext.layer)).pipe(Logger.withMinimumLogLevel(LogLevel.Warning))

/** Gives a test its own database, opened. */
export const withFixture = <A, E>(
  kind: Kind,
  body: (fixture: Fixture) => Effect.Effect<A, E, Db | NodeContext.NodeContext | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> => Effect.flatMap(fixture(kind), (fixture) => withOpen(fixture, body(fixture)))
