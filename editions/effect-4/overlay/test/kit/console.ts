/** What an effect writes to Effect's console. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** The lines that it logs. */
export const linesOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<string>, E, R> =>
  Console.consoleWith((console) => {
    const lines: Array<string> = []
    return Effect.as(
      Effect.provideService(effect, Console.Console, {
        ...console,
        log: (line: unknown) => void lines.push(String(line))
      }),
      lines
    )
  })
