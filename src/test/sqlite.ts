/**
 * A private SQLite database.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Db } from "../Db.js"
import type * as DbConfig from "../DbConfig.js"
import {
  type Failure,
  migrate,
  pool,
  type Preparation,
  type Provides,
  type Rest,
  seed,
  targetOf,
  thenRun
} from "./prepare.js"
import { watched } from "./watch.js"

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

/**
 * A private SQLite database, in memory or in a temporary file, gone afterwards.
 *
 * @example
 * import { Effect } from "effect"
 * import { Db, DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const migrations = DbMigrator.fromRecord({ V1__note: "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)" })
 *
 * const test = Db.query("SELECT count(*) AS n FROM note").pipe(Effect.provide(DbTest.sqlite({ migrations })))
 *
 * @since 0.1.0
 * @category layers
 */
export const sqlite = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: SqliteOptions<Self, Provided, E, R, E2, R2> = {}
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const open = (filename: string) =>
    targetOf(options).layer({
      environment: "test",
      ...options.options,
      type: "sqlite",
      filename,
      pool: pool(options.options?.pool),
      // Nothing of it is to outlive a crash.
      settings: options.file === true ? { synchronous: "OFF", ...options.options?.settings } : options.options?.settings
    })
  const opened = options.file === true
    ? Layer.unwrapScoped(Effect.map(temporaryFolder, (folder) => open(path.join(folder, "test.db"))))
    : open(":memory:")
  const prepared = watched(thenRun(opened, Effect.zipRight(migrate(options), seed(options))))
  // `Provided` holds `Self`: a tag's layer provides the tag.
  return prepared as Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>>
}
