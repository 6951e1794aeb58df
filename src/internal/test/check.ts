/**
 * The check of `dblive check` as a test: on a database that a test layer has made.
 */
import * as Effect from "effect/Effect"
import type { Db } from "../../Db.js"
import type { DbError } from "../../DbError.js"
import { askedOf } from "../check/ask.js"
import { check as run, type CheckReport, lineOf } from "../check/check.js"
import { defaultTag } from "../check/generate.js"
import type { CheckProblem } from "../check/model.js"
import { type Provides, type Target, targetOf } from "./prepare.js"

/**
 * What is checked.
 *
 * @since 0.2.0
 * @category models
 */
export interface CheckOptions<Self = Db, Provided = Provides> {
  /** The database's tag. Defaults to `Db`. */
  readonly database?: Target<Self, Provided> | undefined
  /** The folder of `.sql` files, from `root`. Defaults to `queries`. */
  readonly queries?: string | undefined
  /** The folder of TypeScript that is looked through for `Db.sqlFile`, from `root`. Defaults to `src`. */
  readonly sources?: string | undefined
  /**
   * The file of functions, from `root`; `false`: it is not looked at. Defaults to the folder's name with `.ts`, for the default
   * database, and to `false` for a named one.
   */
  readonly out?: string | false | undefined
  /** The class of the database and the module that exports it, as the functions import it. Defaults to `Db` of `dblive`. */
  readonly tag?: { readonly name: string; readonly module: string } | undefined
  /** The project's root. Defaults to the folder that the process runs in. */
  readonly root?: string | undefined
}

/**
 * Statements do not fit the schema, or the file of functions is out of date.
 *
 * @since 0.2.0
 * @category errors
 */
export class CheckError extends Error {
  readonly _tag = "CheckError"
  override readonly name = "CheckError"
  constructor(readonly problems: ReadonlyArray<CheckProblem>) {
    super(problems.map(lineOf).join("\n"))
  }
}

/**
 * Checks every statement of a folder of `.sql` files against the database of the context, as `dblive check` does, and that the file of
 * functions is up to date. Fails with all that is wrong at once.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const migrations = DbMigrator.fromDirectory("migrations/default")
 *
 * const test = DbTest.check({ queries: "queries" }).pipe(
 *   Effect.provide(DbTest.sqlite({ migrations }).pipe(Layer.provide(NodeContext.layer)))
 * )
 * ```
 *
 * @since 0.2.0
 * @category execution
 */
export const check = <Self = Db, Provided = Provides>(
  options: CheckOptions<Self, Provided> = {}
): Effect.Effect<CheckReport, CheckError | DbError, Self> => {
  const { queries = "queries", root = process.cwd(), sources = "src", tag = defaultTag } = options
  const target = targetOf<Self, Provided>(options)
  const out = options.out ?? (options.database === undefined || options.tag !== undefined ? `${queries}.ts` : false)
  return Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(target, askedOf),
      (asked) => run(asked, { root, queries, sources, tag, out: out === false ? undefined : out })
    )
  ).pipe(
    Effect.tap(({ output, problems }) => {
      const stale = output === undefined || output.isCurrent ? [] : [{
        file: output.file,
        line: 1,
        message: "is not what the statements and the schema make: run dblive check --write"
      }]
      const all = [...problems, ...stale]
      return all.length === 0 ? Effect.void : Effect.fail(new CheckError(all))
    })
  )
}
