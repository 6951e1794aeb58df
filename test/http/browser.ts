/** Chromium for tests: `describeBrowser(name, body)` is skipped, with the reason, where there is none. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import type { Browser, Page } from "playwright-core"
import { chromium } from "playwright-core"
import { afterAll, describe } from "vitest"

const executable = [
  process.env["TEST_CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((path) => path !== undefined && Fs.existsSync(path))

export const describeBrowser = (name: string, body: () => void): void => {
  if (executable === undefined) {
    describe.skip(`${name} (skipped: no Chromium; apt-get install chromium, or set TEST_CHROMIUM)`, body)
  } else {
    describe(name, body)
  }
}

let launched: Promise<Browser> | undefined
afterAll(() => launched?.then((browser) => browser.close()))

/** One browser for all tests of a file; each has a page, and a context, of its own. */
export const browser = Effect.promise(() =>
  launched ??= chromium.launch({
    executablePath: executable!,
    // In a container there is no user namespace to put its own sandbox in; what it opens here is ours.
    args: ["--no-sandbox", "--disable-dev-shm-usage"]
  })
)

/** What a page did besides showing something. */
export interface Traces {
  /** Addresses of everything it asked for. */
  readonly requests: Array<string>
  /** How many of them have been answered, or have failed. */
  answered: number
  /** Of scripts, and of the policy that it is under. */
  readonly errors: Array<string>
}

/** A page, and what it does. The scope closes it. */
export const openPage = (
  browser: Browser,
  options: Parameters<Browser["newPage"]>[0] = {}
): Effect.Effect<{ readonly page: Page; readonly traces: Traces }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => browser.newPage(options)),
    (page) =>
      Effect.promise(async () => {
        // An answer that a test was changing would find no page.
        await page.unrouteAll({ behavior: "wait" })
        await page.close()
      })
  ).pipe(Effect.flatMap((page) =>
    Effect.promise(async () => {
      page.setDefaultTimeout(15_000)
      const traces: Traces = { requests: [], answered: 0, errors: [] }
      page.on("request", (request) => traces.requests.push(request.url()))
      page.on("requestfinished", () => traces.answered++)
      page.on("requestfailed", () => traces.answered++)
      page.on("pageerror", (error) => traces.errors.push(String(error)))
      page.on("console", (message) => {
        if (message.type() === "error" || /content.security.policy/i.test(message.text())) {
          traces.errors.push(message.text())
        }
      })
      await page.addInitScript(
        "addEventListener('securitypolicyviolation', (event) => console.error('content security policy', event.blockedURI))"
      )
      return { page, traces }
    })
  ))
