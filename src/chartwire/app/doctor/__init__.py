"""Doctor: what is not safe, what lags, what is stuck and why, what runs out.

1. `advice.yaml` what can be found, in words; 2. `findings.py` a finding; 3. `surroundings.py` what the checks look at;
4. `safety.py`, `server.py`, `backups.py`, `lags.py`, `stuck.py`, `capacity.py`, `expiry.py` the checks;
5. `examination.py` all of them, one after the other; `reference.py` docs/reference/doctor.md.
"""
