-- wrk: POSTs the event in the file that EVENT_FILE names, and says at the end how many answers were
-- neither 2xx nor 3xx.

local file = assert(io.open(assert(os.getenv("EVENT_FILE"), "EVENT_FILE is not set"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()

function done(summary)
    print(string.format("Answers: %d, of them not 2xx or 3xx: %d", summary.requests, summary.errors.status))
end
