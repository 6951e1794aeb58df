/** Asking for figures: every second while somebody looks, and less and less often while there is no answer. */
export const feed = /* js */ String.raw`
const interval = 1000
const longestPause = 30000
const answerLimit = 8000

/** Calls back with each answer, with each failure and the time until the next attempt, and with what it does. */
function makeFeed(url, on) {
  let failures = 0
  let timer = undefined
  let asking = undefined
  let paused = false
  const plan = (wait) => {
    clearTimeout(timer)
    timer = setTimeout(ask, wait)
  }
  const ask = async () => {
    clearTimeout(timer)
    if (paused || document.hidden || asking !== undefined) {
      return
    }
    asking = new AbortController()
    const limit = setTimeout(() => asking.abort(), answerLimit)
    try {
      const response = await fetch(url, { signal: asking.signal, cache: "no-store", credentials: "same-origin" })
      if (!response.ok) {
        throw new Error(
          response.status === 401 || response.status === 403
            ? "The server does not let this page pass any more (" + response.status + "). Load it again."
            : "The server answered with status " + response.status + "."
        )
      }
      const report = await response.json()
      failures = 0
      on.report(report)
      plan(interval)
    } catch (error) {
      failures++
      // Spread, so that pages that lost the server together do not come back together.
      const wait = Math.min(interval * 2 ** failures, longestPause) * (0.75 + Math.random() / 4)
      const why = error.name === "AbortError"
        ? "The server did not answer within " + answerLimit / 1000 + " seconds."
        : error.name === "TypeError"
        ? "The server cannot be reached."
        : error.message
      on.failure(why, Date.now() + wait)
      plan(wait)
    } finally {
      clearTimeout(limit)
      asking = undefined
    }
  }
  document.addEventListener("visibilitychange", ask)
  return {
    ask,
    pause(value) {
      paused = value
      if (paused) {
        clearTimeout(timer)
      } else {
        void ask()
      }
    }
  }
}
`
