/**
 * What Vitest knows of the test that runs now. Outside Vitest there is none.
 */
import * as Effect from "effect/Effect"

/** The parts of Vitest's test that are used here. */
export interface Test {
  readonly name: string
  readonly concurrent?: boolean | undefined
  readonly result?: { readonly state: string } | undefined
  readonly context: { readonly onTestFinished: (f: () => void | Promise<void>) => void }
}

interface Suite {
  readonly getCurrentTest: () => Test | undefined
}

let suite: Suite | undefined

/**
 * Makes {@link currentTest} work, where this runs in Vitest. To be run before, because modules load asynchronously.
 */
export const load: Effect.Effect<void> = Effect.suspend(() =>
  process.env["VITEST"] === undefined || suite !== undefined
    ? Effect.void
    : Effect.ignore(Effect.tryPromise(async () => {
      // By names that are no literals: without Vitest, these layers need neither its types nor its package.
      const [vitest, older] = ["vitest", "vitest/suite"]
      const { TestRunner } = await import(/* @vite-ignore */ vitest) as { readonly TestRunner?: Suite }
      // Vitest 3 has it in a module of its own.
      suite = TestRunner ?? await import(/* @vite-ignore */ older) as Suite
    }))
)

/** The test that runs now. `undefined` for tests that run side by side, where it is not known. */
export const currentTest = (): Test | undefined => {
  const test = suite?.getCurrentTest()
  return test === undefined || test.concurrent === true ? undefined : test
}
