/**
 * A private SQLite database.
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Database, Db } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import * as Sqlite from "../../driver/Sqlite.js"
import { engineOf } from "../database/Database.js"
import { reserveSession } from "../session/transaction.js"
import { hashOf } from "./hash.js"
import {
  type Failure,
  nameOf,
  pool,
  type Preparation,
  prepared,
  type Provides,
  type Rest,
  targetOf,
  template
} from "./prepare.js"

/**
 * Options of a private SQLite database.
 *
 * @since 0.1.0
 * @category models
 */
export interface SqliteOptions<Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>
  extends Preparation<Self, Provided, E, R, E2, R2>
{
  /**
   * Whether it is a temporary file, as several connections need (readers beside a writer). Defaults to false: it is in
   * memory, and has one connection.
   */
  readonly file?: boolean | undefined
  /** Further options of the database. */
  readonly options?: Omit<DbConfig.Options, "url" | "type" | "filename"> | undefined
}

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-test-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** What the migrations have made in this process: databases as the bytes of files, by the migrations' hashes. */
const images = new Map<string, Uint8Array>()

/** The bytes of an open database. */
const imageOf = (database: Database): Effect.Effect<Uint8Array, DbError> =>
  Effect.scoped(
    Effect.flatMap(reserveSession(engineOf(database)), ({ connection }) =>
      Effect.async<Uint8Array, DbError>((resume) =>
        // Nothing stands between the engine and the driver's own connection, which knows how.
        (connection as unknown as Exporting).export((error, bytes) =>
          resume(error === undefined ? Effect.succeed(bytes) : Effect.fail(error))
        )
      ))
  )

interface Exporting {
  readonly export: (done: Driver.Done<Uint8Array>) => void
}

/**
 * A private SQLite database, in memory or in a temporary file, gone afterwards. Migrations run once per process: each
 * database is a copy of what they have made.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db, DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const migrations = DbMigrator.fromRecord({ V1__note: "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)" })
 *
 * const test = Db.query("SELECT count(*) AS n FROM note").pipe(Effect.provide(DbTest.sqlite({ migrations })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const sqlite = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: SqliteOptions<Self, Provided, E, R, E2, R2> = {}
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const target = targetOf(options)
  const isFile = options.file === true
  const open = (filename: string, image: Uint8Array | undefined): Layer.Layer<Provided, DbError | ConfigError> =>
    target.layerDriver(
      {
        environment: "test",
        ...options.options,
        type: "sqlite",
        filename,
        pool: pool(options.options?.pool),
        // Nothing of it is to outlive a crash.
        settings: isFile ? { synchronous: "OFF", ...options.options?.settings } : options.options?.settings
      },
      Sqlite.makeFrom(image)
    )
  const place = isFile
    ? Effect.map(temporaryFolder, (folder) => path.join(folder, "test.db"))
    : Effect.succeed(":memory:")
  const copyOf = (key: string) => {
    const known = images.get(key)
    return known !== undefined ?
      Effect.succeed(known) :
      Effect.scoped(
        Effect.flatMap(
          place,
          (filename) => template(options, open(filename, undefined), Effect.flatMap(target, imageOf))
        )
      ).pipe(
        Effect.tap((image) => Effect.sync(() => images.set(key, image)))
      )
  }
  return Layer.unwrapScoped(Effect.gen(function*() {
    const hash = yield* hashOf(options, nameOf(target))
    // A file keeps its journal's mode in itself, and there is one that a database in memory cannot have.
    const image = hash === undefined ? undefined : yield* copyOf(`${hash} ${isFile ? "file" : "memory"}`)
    const filename = yield* place
    if (isFile && image !== undefined) {
      yield* Effect.sync(() => fs.writeFileSync(filename, image))
    }
    return prepared(options, open(filename, image), image !== undefined)
  }))
}
