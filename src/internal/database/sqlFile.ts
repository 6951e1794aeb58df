/**
 * A statement that stands in a file of its own.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import type { QueryError } from "../../DbError.js"
import type { Engine } from "../Engine.js"
import { sqlFile } from "../error/engine.js"
import { Splitter } from "../migrator/Splitter.js"
import { SplitFault } from "../migrator/Statement.js"

/** By path and dialect, as names of programs are few. */
const known = new Map<string, string>()

const statementOf = (engine: Engine, path: string, text: string): Effect.Effect<string, QueryError> =>
  Effect.suspend(() => {
    const fail = (what: string) => Effect.fail(sqlFile(engine.name, `${path} ${what}`))
    try {
      const splitter = new Splitter(engine.driver.dialect)
      const found = [...splitter.push(text), ...splitter.end()]
      const [statement, second] = found
      return statement === undefined
        ? fail("holds no statement")
        : second !== undefined
        ? fail(`holds ${found.length} statements: Db.sqlFile takes files of one`)
        : Effect.succeed(statement.text)
    } catch (cause) {
      if (!(cause instanceof SplitFault)) throw cause
      return fail(`cannot be read as SQL: line ${cause.line}: ${cause.message}`)
    }
  })

/** The statement of a file, without the comments before it and the semicolon behind it. Read once. */
export const read = (engine: Engine, path: string): Effect.Effect<string, QueryError> =>
  Effect.suspend(() => {
    const key = `${engine.driver.dialect} ${path}`
    const found = known.get(key)
    if (found !== undefined) return Effect.succeed(found)
    return Effect.tryPromise({
      try: (signal) => fs.readFile(path, { encoding: "utf8", signal }),
      catch: (cause) =>
        sqlFile(
          engine.name,
          // Node's message has the absolute path in it.
          (cause as NodeJS.ErrnoException).code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read`,
          cause
        )
    }).pipe(
      Effect.flatMap((text) => statementOf(engine, path, text)),
      Effect.tap((text) => Effect.sync(() => known.set(key, text)))
    )
  })
