/** Asking for figures: every second while the page is visible, and less and less often while there is no answer. */
import type { Report } from "../report.js"

const interval = 1000
const longestPause = 30_000
const answerLimit = 8000

interface Listener {
  readonly report: (report: Report) => void
  /** With the time of the next attempt. */
  readonly failure: (why: string, next: number) => void
}

const explain = (error: unknown): string => {
  const { message, name } = error as Error
  return name === "AbortError"
    ? `The server did not answer within ${answerLimit / 1000} seconds.`
    : name === "TypeError"
    ? "The server cannot be reached."
    : message
}

const receive = async (url: string, signal: AbortSignal): Promise<Report> => {
  const response = await fetch(url, { signal, cache: "no-store", credentials: "same-origin" })
  if (!response.ok) {
    throw new Error(
      response.status === 401 || response.status === 403
        ? `The server does not let this page pass any more (${response.status}). Load it again.`
        : `The server answered with status ${response.status}.`
    )
  }
  return await response.json() as Report
}

export const makeFeed = (url: string, on: Listener) => {
  let failures = 0
  /** The time of the newest sample of a pool that has been received. */
  let since = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let isAsking = false
  let isPaused = false
  const plan = (wait: number) => {
    clearTimeout(timer)
    timer = setTimeout(ask, wait)
  }
  const ask = async (): Promise<void> => {
    clearTimeout(timer)
    if (isPaused || document.hidden || isAsking) {
      return
    }
    isAsking = true
    const controller = new AbortController()
    const limit = setTimeout(() => controller.abort(), answerLimit)
    try {
      const report = await receive(`${url}?since=${since}`, controller.signal)
      failures = 0
      since = Math.max(since, ...report.databases.map(({ poolHistory }) => poolHistory.at(-1)?.at ?? 0))
      on.report(report)
      plan(interval)
    } catch (error) {
      failures++
      // Spread, so that pages that lost the server together do not come back together.
      const wait = Math.min(interval * 2 ** failures, longestPause) * (0.75 + Math.random() / 4)
      on.failure(explain(error), Date.now() + wait)
      plan(wait)
    } finally {
      clearTimeout(limit)
      isAsking = false
    }
  }
  document.addEventListener("visibilitychange", ask)
  return {
    ask,
    pause(isOn: boolean) {
      isPaused = isOn
      if (isPaused) {
        clearTimeout(timer)
      } else {
        void ask()
      }
    }
  }
}
