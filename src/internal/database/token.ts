/**
 * What a fiber has seen of a database, as a text that another fiber or process can be given.
 */
import * as Effect from "effect/Effect"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import { unsendable } from "../error/engine.js"
import { refused } from "./Query.js"

/** The token of the fiber. A primary whose replicas are known elsewhere is asked where it is now. */
export const token = (engine: Engine): Effect.Effect<string | undefined, DbError> => {
  const { driver: { replication }, replicas } = engine
  return replicas !== undefined
    ? replicas.token
    : replication === undefined
    ? Effect.succeed(undefined)
    : Effect.map(
      engine.ask((connection, done: Driver.Done<bigint>) => replication.written(connection, done), true),
      replication.format
    )
}

/** Runs an effect as one that has seen what the token says. */
export const withToken = <A, E, R>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  token: string | undefined
): Effect.Effect<A, E | DbError, R> => {
  if (token === undefined) {
    return effect
  }
  // What is no text comes from JavaScript.
  const position = typeof token === "string" ? engine.driver.replication?.parse(token) : undefined
  if (position === undefined) {
    return refused(
      engine,
      unsendable(engine.name, "the token is none of this database", undefined, "give it what Db.token has given")
    )
  }
  const { replicas } = engine
  return replicas === undefined ? effect : Effect.withFiberRuntime<A, E, R>((fiber) => {
    replicas.sawToken(fiber, position)
    return effect
  })
}
