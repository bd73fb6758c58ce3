# times endless
