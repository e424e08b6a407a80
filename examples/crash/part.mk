# One part: three jobs to begin with, of which one kills this make, then many that are independent.
FIRST = $(OUT)/$(PART).fault $(OUT)/$(PART).a $(OUT)/$(PART).b
REST = $(foreach i,$(NUMBERS),$(OUT)/$(PART).$i)

all: $(REST)

$(REST): $(FIRST)

$(OUT)/$(PART).fault:
	@$(HERE)/fault $@

$(OUT)/%:
	@$(HERE)/job $@
